// Promises: which conversations they hold for, what is promised, when to warn, and what stops the clock.

import { post } from "../../kernel/api.js";
import { each, h } from "../../kernel/dom.js";
import { checkField, selectField, textField } from "../../kernel/form.js";
import { duration } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { button } from "../../kernel/parts.js";
import { may } from "../../kernel/session.js";
import { flush, signal, untracked } from "../../kernel/signals.js";
import { attempt } from "../../kernel/toast.js";
import { choiceField, numberField } from "../fields.js";
import { categoryOptions, channelOptions } from "../filter-fields.js";
import { collection, editForm } from "../kit.js";
import { section } from "../once.js";
import { chipsField, choice$, durationField, groupField, named, pickMany, removeLine, span$, text$, words } from "../pick.js";

const PATH = "/sla-policies";
const CLOCKS = ["first_response", "next_response", "resolution"];
const clocks = words(CLOCKS, (one) => say(one, "sentence.clock"));
const admin = () => may("admin");
let keys = 0;

export const view = () =>
  collection({
    page: "policies",
    from: PATH,
    names: "sla-policies",
    title: t("policies.title"),
    hint: t("policies.hint"),
    add: admin() ? t("policies.add") : null,
    none: { title: t("policies.none"), text: t("policies.none_text"), icon: "clock" },
    order: (one, other) => one.position - other.position || one.name.localeCompare(other.name),
    row: (one) => ({ title: one.name, text: inShort(one), badges: one.enabled ? [] : [[t("policies.off"), "warn"]] }),
    editor: (item, tools) => editForm({ path: PATH, item, may: admin(), removeText: () => t("policies.remove"), children: fields(item), more: item && admin() && replan(item), ...tools }),
  });

const inShort = ({ targets }) => CLOCKS.filter((one) => targets[one]).map((one) => `${say(one, "sentence.clock")} ${duration(targets[one])}`).join(" · ");

const fields = (item) => [
  textField({ name: "name", label: t("policies.name"), value: item?.name ?? "", required: true, autocomplete: "off" }),
  h(
    "fieldset",
    { class: "settings-group" },
    h("legend", {}, t("policies.for")),
    h("p", { class: "hint" }, t("policies.for_hint")),
    pickMany({ name: "channels", label: t("policies.channels"), options: channelOptions, value: item?.channels ?? [] }),
    pickMany({ name: "inbox_ids", label: t("policies.inboxes"), options: named("inboxes"), value: item?.inbox_ids ?? [] }),
    chipsField({ name: "priorities", label: t("policies.priorities"), options: words(["low", "normal", "high", "urgent"], (one) => say(one, "priority")), value: item?.priorities ?? [] }),
    pickMany({ name: "categories", label: t("policies.categories"), options: categoryOptions, value: item?.categories ?? [] }),
  ),
  groupField({ name: "targets", label: t("policies.targets"), hint: t("policies.targets_hint"), fields: CLOCKS.map((one) => durationField({ name: one, label: say(one, "sentence.clock"), value: item?.targets[one] ?? null })) }),
  selectField({ name: "clock", label: t("policies.clock_label"), value: item?.clock ?? "business", options: words(["business", "calendar"], (one) => say(one, "policies.clock"))() }),
  choiceField({ name: "business_hours_id", label: t("policies.hours"), value: item?.business_hours_id, none: t("policies.inbox_hours"), options: named("business-hours") }),
  warningsField(item?.warnings ?? [{ fraction: 0.75, before: null }]),
  chipsField({ name: "pauses", label: t("policies.pauses"), hint: t("policies.pauses_hint"), options: clocks, value: item?.pauses ?? ["resolution"] }),
  chipsField({ name: "pause_states", label: t("policies.pause_states"), options: words(["pending", "snoozed"], (one) => say(one, "status")), value: item?.pause_states ?? ["pending"] }),
  checkField({ name: "next_response_from_creation", label: t("policies.from_creation"), value: item?.next_response_from_creation ?? false }),
  numberField({ name: "position", label: t("policies.position"), hint: t("policies.position_hint"), value: item?.position ?? 100, min: 0, max: 1000000, required: true }),
  checkField({ name: "enabled", label: t("policies.enabled"), value: item?.enabled ?? true }),
];

/** When somebody is warned: at a part of the time, or so long before its end. */
function warningsField(value) {
  const model = ({ fraction, before }) => ({ key: (keys += 1), kind: signal(before ? "before" : "fraction"), percent: signal(Math.round((fraction ?? 0.75) * 1000) / 10), before: signal(before ?? 3600) });
  const list = signal(value.map(model));
  const wrong = signal("");
  const more = button({ text: t("policies.add_warning"), icon: "plus", kind: "quiet", run: () => (list.update((all) => [...all, model({ fraction: 0.9 })]), flush()) });
  const line = (one$) => {
    const one = one$.peek();
    const control = () => (one.kind.value === "fraction" ? untracked(() => h("span", { class: "row" }, text$({ label: t("policies.percent"), value: one.percent, type: "number", min: 1, max: 100, class: "input amount" }), "%")) : untracked(() => span$({ label: t("policies.before"), value: one.before })));
    const remove = () => (list.update((all) => all.filter((other) => other !== one)), more.focus());
    return h("div", { class: "sentence" }, choice$({ label: t("policies.warn_when"), options: words(["fraction", "before"], (kind) => say(kind, "policies.warn")), value: one.kind }), control, removeLine(t("policies.remove_warning"), remove));
  };
  const node = h("div", { class: "field", data: { field: "warnings" } }, h("span", { class: "field-name" }, t("policies.warnings")), h("div", { class: "lines" }, each(() => list.value, (one) => one.key, line)), h("div", { class: "row" }, more), h("p", { class: "error", role: "alert" }, () => wrong.value));
  const read = () => list.peek().map((one) => (one.kind.peek() === "fraction" ? { fraction: (one.percent.peek() ?? 0) / 100 } : { before: one.before.peek() }));
  return Object.assign(node, { input: more, read, wrong: (text) => (wrong.value = text) });
}

function replan(item) {
  const run = () => attempt(post(`${PATH}/${item.id}/replan`), { done: t("policies.replanning") });
  return section(t("policies.replan"), h("p", { class: "soft" }, t("policies.replan_hint")), h("div", { class: "row" }, button({ text: t("policies.replan_now"), icon: "refresh", run })));
}
