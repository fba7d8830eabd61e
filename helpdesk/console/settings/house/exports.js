// Exports: all that a question finds, taken along as a file. Nothing of it is kept here but that it was done.

import { explain, get, href } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { checkField } from "../../kernel/form.js";
import { dateTime, number } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { badge, linkButton, pane } from "../../kernel/parts.js";
import { here, setTitle } from "../../kernel/router.js";
import { may } from "../../kernel/session.js";
import { computed, effect, signal } from "../../kernel/signals.js";
import { section } from "../once.js";
import { choice$, named, picks$, text$, words } from "../pick.js";
import { midnight } from "./audit.js";

const STATES = ["open", "pending", "snoozed", "resolved", "closed"];
/** What an address of the list may bring along besides what there are fields for. */
const MORE = [
  ...["assignee_id", "priority", "category", "tag", "contact_id", "sla", "q", "filter", "spam"],
  ...["created_after", "created_before", "updated_after"],
];

export function exporting() {
  setTitle(t("exports.title"));
  const given = here.peek().query;
  const many = (name) => signal(given.getAll(name));
  const asked = {
    what: signal(given.get("what") === "contacts" ? "contacts" : "conversations"),
    format: signal("csv"),
    messages: signal(false),
    view_id: signal(given.get("view_id")),
    status: many("status"),
    inbox_id: many("inbox_id"),
    team_id: many("team_id"),
    from: signal(""),
    to: signal(""),
  };
  const brought = MORE.filter((name) => given.has(name)).map((name) => [name, given.getAll(name)]);
  const backwards = () => Boolean(asked.from.value && asked.to.value && asked.from.value > asked.to.value);
  const wrong = () => (backwards() ? t("exports.backwards") : "");
  return pane(
    { title: t("exports.title"), name: "house" },
    h("p", { class: "hint" }, t("exports.hint")),
    h(
      "div",
      { class: "stack house-form" },
      fields(asked),
      brought.length > 0 && h("p", { class: "hint" }, t("exports.along")),
      h("p", { class: "error", role: "alert" }, wrong),
      download(asked, Object.fromEntries(brought), backwards),
    ),
    may("admin") && history(),
  );
}

function queryOf(asked, brought) {
  const { what, format, messages, view_id: view, status, inbox_id: inbox, team_id: team, from, to } = asked;
  const [after, before] = [from.value && midnight(from.value), to.value && midnight(to.value, 1)];
  const time = { ...(after && { created_after: after }), ...(before && { created_before: before }) };
  const form = { format: format.value, ...time };
  if (what.value === "contacts") return form;
  const whole = messages.value && format.value === "jsonl" ? { messages: true } : {};
  const of = { view_id: view.value || undefined, status: status.value, inbox_id: inbox.value, team_id: team.value };
  return { ...brought, ...form, ...whole, ...of };
}

/** A control below its name, which it has itself as well. */
function line(label, control, hint) {
  const name = h("span", { class: "field-name", "aria-hidden": "true" }, label);
  return h("div", { class: "field" }, name, hint && h("p", { class: "hint" }, hint), control);
}

function fields(asked) {
  const one = (label, value, more) => line(label, choice$({ label, value, ...more }));
  const some = (label, value, options) => line(label, picks$({ label, options, value }), t("exports.none_chosen"));
  const day = (label, value) => line(label, text$({ label, type: "date", value }));
  const conversations = () => asked.what.value === "conversations";
  const kinds = words(["conversations", "contacts"], (word) => say(word, "exports.what"));
  const formats = words(["csv", "jsonl"], (word) => say(word, "exports.format"));
  const messages = checkField({ label: t("exports.with_messages"), name: "messages", value: asked.messages });
  return [
    h(
      "div",
      { class: "pair" },
      one(t("exports.of"), asked.what, { options: kinds }),
      one(t("exports.form"), asked.format, { options: formats }),
    ),
    h("div", { hidden: () => !conversations() || asked.format.value !== "jsonl" }, messages),
    h(
      "div",
      { class: "stack", hidden: () => !conversations() },
      one(t("exports.view"), asked.view_id, { none: t("exports.any"), options: named("views") }),
      some(t("exports.status"), asked.status, words(STATES, (word) => say(word, "status"))),
      some(t("exports.inboxes"), asked.inbox_id, named("inboxes")),
      some(t("exports.teams"), asked.team_id, named("teams")),
    ),
    h("div", { class: "pair" }, day(t("exports.from"), asked.from), day(t("exports.to"), asked.to)),
  ];
}

/** A link and not a request: the browser writes the file as it comes, however long it is. */
function download(asked, brought, backwards) {
  const file = () => `${asked.what.value}.${asked.format.value}`;
  const address = computed(() => href(`/exports/${asked.what.value}`, queryOf(asked, brought)));
  const looks = { icon: "download", kind: "primary", data: { native: true } };
  const link = linkButton({ text: t("exports.download"), download: file, ...looks });
  effect(() => (backwards() ? link.removeAttribute("href") : link.setAttribute("href", address.value)));
  return h("div", { class: "stack" }, h("div", { class: "row" }, link), h("p", { class: "hint" }, t("exports.how")));
}

/** Who has taken what along: the audit says it. */
function history() {
  const [list, wrong] = [signal(null), signal("")];
  const read = async () => {
    const { items } = await get("/audit", { subject_type: "export", limit: 100 });
    const ends = new Map(items.filter((one) => one.action === "export.ended").map((one) => [one.subject.id, one.data]));
    const begun = items.filter((one) => one.action === "export.started");
    list.value = begun.map((one) => ({ ...one, end: ends.get(one.subject.id) }));
  };
  read().catch((error) => (wrong.value = explain(error)));
  const none = () => h("p", { class: "soft" }, t("exports.none_yet"));
  const rows = (all) => (all.length ? h("ul", { class: "plain-rows" }, all.map(taken)) : none());
  const shown = () => (wrong.value ? h("p", { class: "error" }, wrong.value) : list.value && rows(list.value));
  return section(t("exports.history"), h("p", { class: "hint" }, t("exports.history_hint")), shown);
}

function taken({ actor, data, end, occurred_at: at }) {
  const state = end ? (end.whole ? "whole" : "cut") : "going";
  const lines = end && t("exports.lines", { n: end.count, count: number(end.count) });
  const what = [say(data.what, "exports.what"), lines].filter(Boolean).join(" · ");
  return h(
    "li",
    {},
    h("span", { class: "grow" }, h("strong", {}, actor.name || say(actor.kind, "author")), " · ", what),
    h("time", { class: "soft", datetime: at }, dateTime(at)),
    badge(say(state, "exports.end"), { whole: "good", cut: "warn", going: "note" }[state]),
  );
}
