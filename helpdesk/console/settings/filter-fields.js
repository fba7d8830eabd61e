// What a filter may speak of: how each field is asked in words, with which control, and how that is written in the
// tree.

import { h } from "../kernel/dom.js";
import { language, say, t } from "../kernel/i18n.js";
import { now } from "../kernel/format.js";
import { signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { chipsField, named, pickMany, picks$, span$, text$, words } from "./pick.js";

const channels = () => directory("channels").list.value.map(({ name }) => ({ id: name, text: say(name, "channel") }));
const categories = () =>
  directory("categories").list.value.map(({ key, names }) => ({ id: key, text: names[language] ?? key }));
const tags = () => directory("tags").list.value.map(({ name }) => ({ id: name, text: name }));
const languages = () =>
  ["en", "zh-CN", "zh-TW"].map((id) => ({ id, text: new Intl.DisplayNames(language, { type: "language" }).of(id) }));
const agents = () => [{ id: "me", text: t("sentence.me") }, ...named("agents")()];

const priorities = words(["low", "normal", "high", "urgent"], (one) => say(one, "priority"));

const pick = (options, { empty = false, create = false } = {}) => ({
  kind: "pick",
  options,
  create,
  ops: ["in", "not_in", ...(empty ? ["empty", "filled"] : [])],
});
const TEXT = { kind: "text", ops: ["contains", "is"] };
const NUMBER = { kind: "number", ops: ["eq", "ne", "gt", "gte", "lt", "lte"] };
const MAYBE_NUMBER = { kind: "number", ops: [...NUMBER.ops, "empty", "filled"] };
const TIME = { kind: "time", ops: ["older", "newer", "sooner", "later", "before", "after"] };
const MAYBE_TIME = { kind: "time", ops: [...TIME.ops, "empty", "filled"] };
const FLAG = { kind: "flag", ops: ["yes", "no"] };
const MINE = { kind: "mine", ops: ["yes", "no"], personal: true };

const status = pick(words(["open", "pending", "snoozed", "resolved", "closed"], (one) => say(one, "status")));
const visibility = pick(words(["direct", "public"], (one) => say(one, "sentence.visibility")));

const FIELDS = {
  status,
  priority: pick(priorities),
  sla: pick(words(["ok", "due_soon", "breached", "paused", "none"], (one) => say(one, "sla"))),
  channel: pick(channels),
  inbox_id: pick(named("inboxes")),
  assignee_id: pick(agents, { empty: true }),
  team_id: pick(named("teams"), { empty: true }),
  category: pick(categories, { empty: true }),
  tag: pick(tags, { empty: true, create: true }),
  language: pick(languages, { create: true }),
  subject: TEXT,
  created_at: TIME,
  last_activity_at: TIME,
  waiting_since: MAYBE_TIME,
  snoozed_until: MAYBE_TIME,
  status_changed_at: MAYBE_TIME,
  assigned_at: MAYBE_TIME,
  next_due_at: MAYBE_TIME,
  first_response: { kind: "presence", ops: ["filled", "empty"] },
  message_count: NUMBER,
  rating: MAYBE_NUMBER,
  visibility,
  followers: MAYBE_NUMBER,
  contact_blocked: FLAG,
  quarantined: FLAG,
  spam: FLAG,
  unread: { ...FLAG, personal: true },
  mentioned: MINE,
  watched: MINE,
  drafted: MINE,
  "message.text": { ...TEXT, messages: true },
  "message.subject": { ...TEXT, messages: true },
  "message.channel": { ...pick(channels), messages: true },
  "message.inbox_id": { ...pick(named("inboxes")), messages: true },
  "message.language": { ...pick(languages, { create: true }), messages: true },
  "message.author_kind": {
    ...pick(words(["contact", "agent", "bot", "system"], (one) => say(one, "author"))),
    messages: true,
  },
  "message.visibility": { ...visibility, messages: true },
  "message.private": { ...FLAG, messages: true },
  "message.has_attachments": { ...FLAG, messages: true },
  "message.sender_verified": { ...FLAG, ops: ["yes", "no", "empty"], messages: true },
};

const CUSTOM = "custom_fields.";
const custom = () =>
  directory("custom-fields").list.value.filter((one) => one.subject === "conversation" && !one.archived);

/** How a custom field is asked, by its type. */
function ofType({ type, options }) {
  if (type === "boolean") return { kind: "flag", ops: ["yes", "no", "empty"] };
  if (type === "number") return MAYBE_NUMBER;
  if (type === "choice") return pick(words(options, String), { empty: true });
  if (type === "date") return { kind: "day", ops: ["lt", "gt", "empty", "filled"] };
  return { kind: "text", ops: ["contains", "is", "empty", "filled"] };
}

/**
 * What is known of a field, with the value that it begins with, and what of a value stays when it is asked otherwise.
 */
export function fieldOf(name) {
  const own = name.startsWith(CUSTOM) && custom().find((one) => CUSTOM + one.key === name);
  const found = own
    ? ofType(own)
    : (FIELDS[name] ?? (name.startsWith(CUSTOM) ? { kind: "text", ops: ["contains", "is", "empty", "filled"] } : null));
  const blank = (op) =>
    ["empty", "filled", "yes", "no"].includes(op)
      ? null
      : { pick: [], text: op === "is" ? "" : [], time: op in TIMES ? 3600 : thisMinute(), number: 1, day: "" }[
          found.kind
        ];
  const sort = (value) => (value === null || Array.isArray(value) ? String(value && "list") : typeof value);
  const keep = (op, value) => (value !== null && sort(blank(op)) === sort(value) ? value : blank(op));
  return found && { ...found, blank, keep };
}

/** The fields that may be asked for, in words. */
export function fieldOptions({ messages, personal }) {
  const mine = Object.entries(FIELDS).filter(([, one]) => (personal || !one.personal) && (!one.messages || messages()));
  const known = mine.map(([id]) => ({ id, text: say(id.replace(".", "_"), "sentence.field") }));
  return [...known, ...custom().map(({ key, title }) => ({ id: CUSTOM + key, text: title }))];
}

export const opOptions = (name) =>
  fieldOf(name).ops.map((id) => ({ id, text: say(`${fieldOf(name).kind}_${id}`, "sentence.op") }));

/** The control of a leaf's value; nothing where the question needs none. */
export function control(leaf) {
  const found = fieldOf(leaf.field.peek());
  if (leaf.value.peek() === null) return null;
  const label = t("sentence.value");
  if (found.kind === "pick") return picks$({ label, options: found.options, value: leaf.value, create: found.create });
  if (found.kind === "text")
    return leaf.op.peek() === "is"
      ? text$({ label, value: leaf.value })
      : picks$({ label, options: () => [], value: leaf.value, create: true, placeholder: t("sentence.words") });
  if (found.kind === "time")
    return leaf.op.peek() in TIMES ? span$({ label, value: leaf.value }) : moment$({ label, value: leaf.value });
  return text$({ label, value: leaf.value, type: found.kind === "day" ? "date" : "number" });
}

/** Some moment, by the clock of whoever looks. What is not touched stays as it was written. */
function moment$({ label, value }) {
  const shown = () => {
    const here = new Date(value.peek());
    return new Date(here - here.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  };
  const input = text$({ label, value: signal(shown()), type: "datetime-local" });
  input.addEventListener("input", () => input.value && (value.value = inUtc(input.value)));
  input.addEventListener("change", () => (input.value ||= shown())); // emptied: it is as it was
  return input;
}

const inUtc = (at) => `${new Date(at).toISOString().slice(0, 19)}Z`;
const thisMinute = () => inUtc(Math.floor(now() / 60_000) * 60_000);

const TIMES = { older: ["before", "ago"], newer: ["after", "ago"], sooner: ["before", "in"], later: ["after", "in"] };

/** A condition of the tree as the leaf that asks it; what has no words here is kept as it is. */
export function leafOf(tree) {
  const { field, op, value } = tree;
  const found = fieldOf(field);
  const made = found && asked(found, op, value);
  if (!made || !found.ops.includes(made[0])) return { raw: tree };
  return { field: signal(field), op: signal(made[0]), value: signal(made[1]) };
}

function asked({ kind }, op, value) {
  if (op === "missing") return [value ? "empty" : "filled", null];
  if (kind === "flag") return [value ? "yes" : "no", null];
  if (kind === "mine") return [op === "eq" ? "yes" : "no", null];
  if (value === null) return [op === "eq" ? "empty" : "filled", null];
  if (kind === "pick")
    return { eq: ["in", [value]], ne: ["not_in", [value]], in: ["in", value], not_in: ["not_in", value] }[op];
  if (kind === "text")
    return { contains: ["contains", [value]], contains_any: ["contains", value], eq: ["is", value] }[op];
  if (kind !== "time") return [op, value];
  if (typeof value === "string") return Number.isNaN(Date.parse(value)) ? null : [op, value];
  const way = Object.entries(TIMES).find(([, [side, unit]]) => side === op && unit in value);
  return way && [way[0], Object.values(value)[0]];
}

const ONE = { in: "eq", not_in: "ne", contains: "contains" };

/** The condition of a leaf, as the API wants it. */
export function treeOf(leaf) {
  if (leaf.raw) return leaf.raw;
  const [field, op, value] = [leaf.field.peek(), leaf.op.peek(), leaf.value.peek()];
  const { kind } = fieldOf(field);
  if (op === "empty" || op === "filled") return { field, op: "missing", value: op === "empty" };
  if (kind === "mine") return { field, op: op === "yes" ? "eq" : "ne", value: "me" };
  if (kind === "flag") return { field, op: "eq", value: op === "yes" };
  if (kind === "time" && op in TIMES) return { field, op: TIMES[op][0], value: { [TIMES[op][1]]: value ?? 0 } };
  if (op === "is") return { field, op: "eq", value };
  if (!Array.isArray(value)) return { field, op, value };
  return value.length === 1
    ? { field, op: ONE[op], value: value[0] }
    : { field, op: op === "contains" ? "contains_any" : op, value };
}

/** Which conversations a promise or a ladder is for: the fields that both have, and those that one has besides. */
export const matching = (item, ...more) =>
  h(
    "fieldset",
    { class: "settings-group" },
    h("legend", {}, t("sentence.for")),
    h("p", { class: "hint" }, t("sentence.for_hint")),
    pickMany({ name: "channels", label: t("sentence.channels"), options: channels, value: item?.channels ?? [] }),
    chipsField({
      name: "priorities",
      label: t("sentence.priorities"),
      options: priorities,
      value: item?.priorities ?? [],
    }),
    pickMany({
      name: "categories",
      label: t("sentence.categories"),
      options: categories,
      value: item?.categories ?? [],
    }),
    more,
  );

export const categoryOptions = categories;
export const tagOptions = tags;
