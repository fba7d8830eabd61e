// Promises: which conversations they hold for, what is promised, when to warn, and what stops the clock.

import { post } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { checkField, selectField, textField } from "../../kernel/form.js";
import { duration } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { button } from "../../kernel/parts.js";
import { may } from "../../kernel/session.js";
import { signal, untracked } from "../../kernel/signals.js";
import { attempt } from "../../kernel/toast.js";
import { choiceField, numberField } from "../fields.js";
import { matching } from "../filter-fields.js";
import { collection, editForm } from "../kit.js";
import { section } from "../once.js";
import { chipsField, choice$, durationField, groupField, listField, named, pickMany, span$, text$, words } from "../pick.js";
import { versions } from "../versions.js";

const PATH = "/sla-policies";
const CLOCKS = ["first_response", "next_response", "resolution"];
const clocks = words(CLOCKS, (one) => say(one, "sentence.clock"));
const admin = () => may("admin");

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
    editor: (item, tools) =>
      editForm({
        path: PATH,
        item,
        may: admin(),
        removeText: () => t("policies.remove"),
        children: fields(item),
        more: item && [admin() && replan(item), versions({ path: PATH, item, fields, tools, may: admin() })],
        ...tools,
      }),
  });

const inShort = ({ targets }) =>
  CLOCKS.filter((one) => targets[one])
    .map((one) => `${say(one, "sentence.clock")} ${duration(targets[one])}`)
    .join(" · ");

const fields = (item) => [
  textField({ name: "name", label: t("policies.name"), value: item?.name ?? "", required: true, autocomplete: "off" }),
  matching(
    item,
    pickMany({
      name: "inbox_ids",
      label: t("policies.inboxes"),
      options: named("inboxes"),
      value: item?.inbox_ids ?? [],
    }),
  ),
  groupField({
    name: "targets",
    label: t("policies.targets"),
    hint: t("policies.targets_hint"),
    fields: CLOCKS.map((one) =>
      durationField({ name: one, label: say(one, "sentence.clock"), value: item?.targets[one] ?? null }),
    ),
  }),
  selectField({
    name: "clock",
    label: t("policies.clock_label"),
    value: item?.clock ?? "business",
    options: words(["business", "calendar"], (one) => say(one, "policies.clock"))(),
  }),
  choiceField({
    name: "business_hours_id",
    label: t("policies.hours"),
    value: item?.business_hours_id,
    none: t("policies.inbox_hours"),
    options: named("business-hours"),
  }),
  warningsField(item?.warnings ?? [{ fraction: 0.75, before: null }]),
  chipsField({
    name: "pauses",
    label: t("policies.pauses"),
    hint: t("policies.pauses_hint"),
    options: clocks,
    value: item?.pauses ?? ["resolution"],
  }),
  chipsField({
    name: "pause_states",
    label: t("policies.pause_states"),
    options: words(["pending", "snoozed"], (one) => say(one, "status")),
    value: item?.pause_states ?? ["pending"],
  }),
  checkField({
    name: "next_response_from_creation",
    label: t("policies.from_creation"),
    value: item?.next_response_from_creation ?? false,
  }),
  numberField({
    name: "position",
    label: t("policies.position"),
    hint: t("policies.position_hint"),
    value: item?.position ?? 100,
    min: 0,
    max: 1000000,
    required: true,
  }),
  checkField({ name: "enabled", label: t("policies.enabled"), value: item?.enabled ?? true }),
];

/** When somebody is warned: at a part of the time, or so long before its end. */
const warningsField = (value) =>
  listField({
    name: "warnings",
    label: t("policies.warnings"),
    add: t("policies.add_warning"),
    removeText: t("policies.remove_warning"),
    value,
    blank: () => ({ fraction: 0.9 }),
    line: warning,
  });

function warning({ fraction, before: seconds }) {
  const [kind, percent, before] = [
    signal(seconds ? "before" : "fraction"),
    signal(Math.round((fraction ?? 0.75) * 1000) / 10),
    signal(seconds ?? 3600),
  ];
  const part = () =>
    h(
      "span",
      { class: "row" },
      text$({ label: t("policies.percent"), value: percent, type: "number", min: 1, max: 100, class: "input amount" }),
      "%",
    );
  const control = () =>
    kind.value === "fraction"
      ? untracked(part)
      : untracked(() => span$({ label: t("policies.before"), value: before }));
  const way = choice$({
    label: t("policies.warn_when"),
    options: words(["fraction", "before"], (one) => say(one, "policies.warn")),
    value: kind,
  });
  return {
    node: [way, control],
    read: () => (kind.peek() === "fraction" ? { fraction: (percent.peek() ?? 0) / 100 } : { before: before.peek() }),
  };
}

function replan(item) {
  const run = () => attempt(post(`${PATH}/${item.id}/replan`), { done: t("policies.replanning") });
  return section(
    t("policies.replan"),
    h("p", { class: "soft" }, t("policies.replan_hint")),
    h("div", { class: "row" }, button({ text: t("policies.replan_now"), icon: "refresh", run })),
  );
}
