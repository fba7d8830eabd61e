// What is done, as a list of sentences: one vocabulary for rules, ladders and macros.

import { each, h } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { flush, signal, untracked } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { categoryOptions, tagOptions } from "./filter-fields.js";
import { choice$, named, picks$, removeLine, span$, text$, words } from "./pick.js";

const MOST = 20;
let keys = 0;

const status = words(["open", "pending", "snoozed", "resolved", "closed"], (one) => say(one, "status"));
const priority = words(["low", "normal", "high", "urgent"], (one) => say(one, "priority"));
const severity = words(["info", "warning", "critical"], (one) => say(one, "severity"));
const who = words(["assignee", "team", "lead", "supervisors", "admins", "watchers"], (one) => say(one, "sentence.who"));
const canned = () => directory("canned-responses").list.value.map(({ id, title }) => ({ id, text: title }));
const custom = () =>
  directory("custom-fields").list.value.filter((one) => one.subject === "conversation" && !one.archived);
const agents = (me) =>
  Object.assign(() => [...(me ? [{ id: "me", text: t("sentence.me") }] : []), ...named("agents")()], {
    nameOf: named("agents").nameOf,
  });

/** A part of an action as a signal: what is written to it stands in the action. */
function part(action, name, blank = null) {
  const made = signal(action.peek()[name] ?? blank);
  return {
    peek: () => made.peek(),
    get value() {
      return made.value;
    },
    set value(next) {
      made.value = next;
      action.value = { ...action.peek(), [name]: next };
    },
    update: (change) => (made.value = change(made.peek())),
  };
}

// Each kind: what a new one says, and the controls of it.
const KINDS = {
  assign: [
    { agent_id: null },
    (one, { me }) =>
      choice$({
        label: t("sentence.agent"),
        options: agents(me),
        value: part(one, "agent_id"),
        none: t("sentence.nobody"),
      }),
  ],
  team: [
    { team_id: null },
    (one) =>
      choice$({
        label: t("sentence.team"),
        options: named("teams"),
        value: part(one, "team_id"),
        none: t("sentence.no_team"),
      }),
  ],
  watch: [{ agent_ids: [] }, (one) => pickPart(one, "agent_ids", t("sentence.agents"), named("agents"))],
  priority: [
    { to: "high" },
    (one) => choice$({ label: t("sentence.priority"), options: priority, value: part(one, "to") }),
  ],
  status: [{ to: "resolved" }, statusParts],
  category: [
    { to: null },
    (one) =>
      choice$({
        label: t("sentence.category"),
        options: categoryOptions,
        value: part(one, "to"),
        none: t("sentence.no_category"),
      }),
  ],
  tag: [
    { add: [], remove: [] },
    (one) =>
      [
        [t("sentence.tags_add"), "add"],
        [t("sentence.tags_remove"), "remove"],
      ].map(([label, name]) => pickPart(one, name, label, tagOptions, { create: true, placeholder: label })),
  ],
  custom_field: [{ key: "", value: null }, customParts],
  note: [{ text: "" }, (one) => text$({ label: t("sentence.note"), value: part(one, "text"), rows: 2 })],
  reply: [{ text: "" }, replyParts],
  alert: [{ who: ["supervisors"], agent_ids: [], severity: "warning", acknowledge_seconds: null }, alertParts],
  webhook: [
    { webhook_id: null },
    (one) =>
      choice$({
        label: t("sentence.webhook"),
        options: named("webhooks"),
        value: part(one, "webhook_id"),
        none: t("sentence.choose"),
      }),
  ],
};

function pickPart(action, name, label, options, more) {
  const chosen = signal(action.peek()[name] ?? []);
  const node = picks$({ label, options, value: chosen, ...more });
  node.addEventListener("change", () => (action.value = { ...action.peek(), [name]: chosen.peek() }));
  return node;
}

function statusParts(one) {
  const to = part(one, "to");
  const snooze = part(one, "snooze_seconds");
  const turn = (status_) => (snooze.value = status_ === "snoozed" ? (snooze.peek() ?? 86_400) : null);
  return [
    choice$({ label: t("sentence.status"), options: status, value: to, change: turn }),
    () => (to.value === "snoozed" ? untracked(() => span$({ label: t("sentence.snooze_for"), value: snooze })) : null),
  ];
}

function customParts(one) {
  const key = part(one, "key", "");
  const value = part(one, "value");
  const options = () => custom().map(({ key: id, title }) => ({ id, text: title }));
  const control = () => {
    const found = custom().find((field) => field.key === key.value);
    const label = t("sentence.value");
    if (!found) return null;
    if (found.type === "boolean")
      return choice$({
        label,
        options: words(["true", "false"], (yes) => say(yes, "sentence.flag")),
        value: flagOf(value),
        none: t("sentence.taken_away"),
      });
    if (found.type === "choice")
      return choice$({ label, options: words(found.options, String), value, none: t("sentence.taken_away") });
    if (found.type === "multi_choice") return pickPart(one, "value", label, words(found.options, String));
    return text$({ label, value, type: { number: "number", date: "date" }[found.type] ?? "text" });
  };
  return [
    choice$({
      label: t("sentence.custom_field"),
      options,
      value: key,
      none: t("sentence.choose"),
      change: () => (value.value = null),
    }),
    () => (key.value, custom().length, untracked(control)),
  ];
}

// Words in a menu, truth values in the API.
const flagOf = (value) => ({
  peek: () => (value.peek() === null ? null : String(value.peek())),
  set value(next) {
    value.value = next === null ? null : next === "true";
  },
});

function replyParts(one) {
  const id = part(one, "canned_response_id");
  const text = part(one, "text", "");
  const turn = (chosen) => (text.value = chosen ? null : "");
  return [
    choice$({ label: t("sentence.canned"), options: canned, value: id, none: t("sentence.own_text"), change: turn }),
    () =>
      id.value
        ? null
        : untracked(() => text$({ label: t("sentence.reply"), value: text, rows: 3, class: "input wide" })),
  ];
}

function alertParts(one) {
  return [
    choice$({ label: t("sentence.severity"), options: severity, value: part(one, "severity") }),
    pickPart(one, "who", t("sentence.whom"), who, { placeholder: t("sentence.whom") }),
    pickPart(one, "agent_ids", t("sentence.agents"), named("agents"), { placeholder: t("sentence.agents") }),
    h(
      "span",
      { class: "row" },
      t("sentence.acknowledge"),
      span$({ label: t("sentence.acknowledge"), value: part(one, "acknowledge_seconds") }),
    ),
  ];
}

/** What stands in an action and says nothing is left out: the API tells absent from null. */
function cleaned(action) {
  const rest = Object.entries(action).filter(([name, value]) => {
    if (["snooze_seconds", "canned_response_id", "acknowledge_seconds"].includes(name)) return value !== null;
    if (name === "text" && action.do === "reply") return !action.canned_response_id;
    return !(action.do === "tag" && Array.isArray(value) && !value.length);
  });
  return Object.fromEntries(rest);
}

/**
 * The field of a form that edits a list of actions of these `kinds`. `me`: there is somebody whom the word stands for.
 */
export function actions({ value = [], name = "actions", label, kinds, me = false }) {
  const list = signal(value.map((one) => ({ key: (keys += 1), kind: signal(one.do), action: signal(one) })));
  const wrong = signal("");
  const add = () => {
    const kind = kinds[0];
    list.update((all) => [
      ...all,
      { key: (keys += 1), kind: signal(kind), action: signal({ do: kind, ...KINDS[kind][0] }) },
    ]);
    flush();
    node.querySelector(".lines > :last-child select")?.focus();
  };
  const more = button({
    text: t("sentence.add_action"),
    icon: "plus",
    kind: "quiet",
    run: add,
    disabled: () => list.value.length >= MOST,
  });
  const remove = (one) => () => {
    list.update((all) => all.filter((other) => other !== one));
    more.focus();
  };
  const options = words(kinds, (one) => say(one, "sentence.do"));
  const line = (one$) => {
    const { kind, action } = one$.peek();
    const turn = (next) => (action.value = { do: next, ...KINDS[next][0] });
    return h(
      "div",
      { class: "sentence", role: "group", "aria-label": t("sentence.action") },
      choice$({ label: t("sentence.action"), options, value: kind, change: turn }),
      () => (kind.value, untracked(() => KINDS[kind.peek()][1](action, { me }))),
      removeLine(t("sentence.remove_action"), remove(one$.peek())),
    );
  };
  const node = h(
    "div",
    { class: "field", data: { field: name } },
    label && h("span", { class: "field-name" }, label),
    h(
      "div",
      { class: "lines" },
      each(
        () => list.value,
        (one) => one.key,
        line,
      ),
    ),
    h("div", { class: "row" }, more),
    h("p", { class: "error", role: "alert" }, () => wrong.value),
  );
  const read = () => list.peek().map(({ action }) => cleaned(action.peek()));
  return Object.assign(node, { node, read, wrong: (text) => (wrong.value = text), input: more });
}
