// The audit: who did what to what. It is written by what people do, and can only be read.

import { get } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { endless } from "../../kernel/endless.js";
import { dateTime, exact, number } from "../../kernel/format.js";
import { has, language, say, t, tn } from "../../kernel/i18n.js";
import { button, empty, pane } from "../../kernel/parts.js";
import { here, setQuery, setTitle } from "../../kernel/router.js";
import { computed, signal } from "../../kernel/signals.js";
import { directory } from "../../kernel/store.js";

/** What things are called in the API, where they are listed, and the page that shows one. */
const TYPES = {
  agent: ["agents", "/settings/agents/"],
  team: ["teams", "/settings/teams/"],
  inbox: ["inboxes", "/settings/inboxes/"],
  conversation: [null, "/conversations/"],
  contact: [null, "/contacts/"],
  message: [],
  tag: ["tags", "/settings/tags/"],
  macro: ["macros", "/settings/macros/"],
  canned_response: ["canned-responses", "/settings/canned/"],
  view: ["views", "/settings/views/"],
  custom_field: ["custom-fields", "/settings/fields/"],
  triage_category: [],
  triage_rule: [],
  automation_rule: ["automation-rules", "/settings/rules/"],
  sla_policy: ["sla-policies", "/settings/policies/"],
  business_hours: ["business-hours", "/settings/hours/"],
  duty_schedule: ["duty", "/settings/duty/"],
  escalation_rule: ["escalation-rules", "/settings/escalation/"],
  webhook: ["webhooks", "/settings/webhooks/"],
  alert_route: ["alert-routes", "/settings/alert-routes/"],
  alert: [],
  token: [],
  sso_provider: ["sso-providers", "/settings/sso/"],
  job: [null, "/settings/jobs/"],
  export: [],
};
const FILTERS = ["actor_id", "subject_type", "subject_id", "from", "to"];
const change = (changes) => setQuery(changes, { replace: true });
/** The beginning of a day as the reader's clock has it, or of one some days later. */
export function midnight(day, later = 0) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + later).toISOString();
}

export function audit() {
  setTitle(t("audit.title"));
  const numbers = signal({});
  // Somewhere else it asks for nothing new: the address is another page's already while this one is still there.
  let kept = "";
  const address = computed(() => (here.value.params.page === "audit" ? (kept = String(here.value.query)) : kept));
  const query = () => {
    const given = new URLSearchParams(address.value);
    const [from, to] = [given.get("from"), given.get("to")];
    const same = Object.fromEntries(FILTERS.slice(0, 3).map((name) => [name, given.get(name) || undefined]));
    return { ...same, after: from ? midnight(from) : undefined, before: to ? midnight(to, 1) : undefined };
  };
  // Conversations are known by their numbers: one question for all of a page.
  const found = async (items) => {
    const unknown = ({ type, id }) => type === "conversation" && !numbers.peek()[id];
    const named = items.map(({ subject }) => subject).filter(unknown);
    if (!named.length) return;
    const ids = [...new Set(named.map(({ id }) => id))];
    const page = await get("/conversations", { id: ids, limit: 100 }).catch(() => ({ items: [] }));
    numbers.update((all) => ({ ...all, ...Object.fromEntries(page.items.map((one) => [one.id, one.number])) }));
  };
  const why = () => (address.peek() ? t("audit.none_of_these") : t("audit.none_text"));
  const none = () => empty({ icon: "shield", title: t("audit.none"), text: why() });
  const row = (one$) => entry(one$.peek(), numbers);
  return pane(
    { title: t("audit.title"), name: "house" },
    h("p", { class: "hint" }, tn("audit.hint", { command: h("code", {}, "helpdesk audit verify") })),
    filters(address),
    endless({ path: "/audit", query, found, none, label: t("audit.title"), kind: "house-rows", row }),
  );
}

function filters(address) {
  const value = (name) => new URLSearchParams(address.value).get(name) ?? "";
  const choose = (name) => ({ change: (event) => change({ [name]: event.target.value || null }) });
  const choice = (name, label, options) => {
    const option = ({ id, text }) => h("option", { value: id, selected: id === value(name) }, text);
    const all = () => [{ id: "", text: t("audit.any") }, ...options()].map(option);
    return h("label", {}, h("span", {}, label), h("select", { class: "input", on: choose(name) }, all));
  };
  const day = (name, label) => {
    const input = h("input", { class: "input", type: "date", value: () => value(name), on: choose(name) });
    return h("label", {}, h("span", {}, label), input);
  };
  const people = () => directory("agents").list.value.map(({ id, name: text }) => ({ id, text }));
  const kinds = () => Object.keys(TYPES).map((id) => ({ id, text: say(id, "audit.kind") }));
  const run = () => change(Object.fromEntries(FILTERS.map((name) => [name, null])));
  return h(
    "div",
    { class: "house-filters", role: "group", "aria-label": t("audit.filters") },
    choice("actor_id", t("audit.who"), people),
    choice("subject_type", t("audit.what"), kinds),
    day("from", t("audit.from")),
    day("to", t("audit.to")),
    button({ text: t("audit.clear"), kind: "quiet", hidden: () => !address.value, run }),
  );
}

/** What was done, as people say it: with words of its own, or a verb that all things share and what it was done to. */
function deedOf({ action, subject }) {
  const whole = action.replace(".", "_");
  if (has(`audit.did.${whole}`)) return say(whole, "audit.did");
  const [verb, thing] = [say(action.split(".")[1], "audit.verb"), say(subject.type, "audit.type")];
  // Chinese is written without spaces, but for those around what is not Chinese.
  return language.startsWith("zh") && !/^[\w]/.test(thing) ? verb + thing : `${verb} ${thing}`;
}

function entry(one, numbers) {
  const { actor, subject, data } = one;
  const [listed, page] = TYPES[subject.type] ?? [];
  const name = () => {
    const known = subject.type === "conversation" && numbers.value[subject.id];
    if (known) return `#${number(known, { useGrouping: false })}`;
    const found = listed && subject.id && directory(listed).byId(subject.id);
    return found && (found.name ?? found.title);
  };
  const shown = () => (subject.id && page ? h("a", { href: `${page}${subject.id}` }, name() || t("audit.it")) : name());
  const fields = Array.isArray(data.fields) && data.fields.length > 0 && data.fields.join(", ");
  return h(
    "li",
    {},
    h("time", { class: "soft", datetime: one.occurred_at, title: exact(one.occurred_at) }, dateTime(one.occurred_at)),
    h(
      "div",
      { class: "grow" },
      h("p", {}, h("strong", {}, actor.name || say(actor.kind, "author")), " ", deedOf(one), " ", shown),
      fields && h("p", { class: "soft" }, tn("audit.fields", { fields: h("code", {}, fields) })),
      details(one),
    ),
  );
}

function details({ action, subject, data, position, digest }) {
  const open = signal(false);
  const written = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const others = Object.entries(data).filter(([name]) => name !== "fields");
  const facts = () => [
    [t("audit.action"), action],
    ...others.map(([name, value]) => [name, written(value)]),
    ...(subject.id ? [[t("audit.of"), `${subject.type} ${subject.id}`]] : []),
    [t("audit.place"), position ? `${position} · ${digest}` : t("audit.unchained")],
  ];
  const fact = ([word, value]) => [h("dt", {}, word), h("dd", {}, h("code", {}, value))];
  const narrow = () => change({ subject_id: subject.id, subject_type: null });
  const only = () => button({ text: t("audit.only"), run: narrow });
  const inside = () => open.value && [h("dl", { class: "facts" }, facts().map(fact)), subject.id && only()];
  const on = { toggle: (event) => (open.value = event.target.open) };
  return h("details", { on }, h("summary", { class: "soft" }, t("audit.details")), inside);
}
