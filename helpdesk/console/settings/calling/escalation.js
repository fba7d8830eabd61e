// Escalation: ladders that are climbed, step by step, while a promise is in danger or broken.

import { h } from "../../kernel/dom.js";
import { checkField, selectField, textField } from "../../kernel/form.js";
import { duration } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { may } from "../../kernel/session.js";
import { signal } from "../../kernel/signals.js";
import { actions } from "../actions.js";
import { matching } from "../filter-fields.js";
import { collection, editForm } from "../kit.js";
import { chipsField, choice$, listField, named, pickMany, span$, words } from "../pick.js";
import { versions } from "../versions.js";

const PATH = "/escalation-rules";
const KINDS = ["alert", "assign", "team", "priority", "watch", "note", "webhook"];
const OF_CLOCKS = ["warning", "breach"];
const admin = () => may("admin");

export const escalation = () =>
  collection({
    page: "escalation",
    from: PATH,
    title: t("settings.escalation"),
    hint: t("escalation.hint"),
    add: admin() ? t("escalation.add") : null,
    none: { title: t("escalation.none"), text: t("escalation.none_text"), icon: "alert" },
    row: (one) => ({ title: one.name, text: inShort(one), badges: one.enabled ? [] : [[t("calling.off"), "warn"]] }),
    editor: (item, tools) =>
      editForm({
        path: PATH,
        item,
        may: admin(),
        removeText: () => t("escalation.remove"),
        read: (values) => ({ ...values, clocks: OF_CLOCKS.includes(values.anchor) ? values.clocks : [] }),
        children: fields(item),
        more: item && versions({ path: PATH, item, fields, tools, may: admin() }),
        ...tools,
      }),
  });

const inShort = ({ anchor, steps }) =>
  [
    say(anchor, "escalation.anchor"),
    ...steps.map(({ after }) => (after ? duration(after) : t("escalation.at_once"))),
  ].join(" → ");

function fields(item) {
  const anchor = signal(item?.anchor ?? "breach");
  const clocks = words(["first_response", "next_response", "resolution"], (one) => say(one, "sentence.clock"));
  const kinds = admin()
    ? KINDS
    : KINDS.filter((one) => one !== "webhook" || JSON.stringify(item).includes('"webhook"'));
  const alert = { do: "alert", who: ["assignee", "lead"], agent_ids: [], severity: "warning" };
  const step = (given) => stepOf(given, kinds);
  return [
    textField({ name: "name", label: t("calling.name"), value: item?.name ?? "", required: true, autocomplete: "off" }),
    selectField({
      name: "anchor",
      label: t("escalation.begins"),
      value: anchor,
      options: words(["warning", "breach", "creation", "complaint"], (one) => say(one, "escalation.anchor"))(),
    }),
    h(
      "div",
      { hidden: () => !OF_CLOCKS.includes(anchor.value) },
      chipsField({
        name: "clocks",
        label: t("escalation.clocks"),
        hint: t("sentence.for_hint"),
        options: clocks,
        value: item?.clocks ?? [],
      }),
    ),
    matching(
      item,
      pickMany({
        name: "policy_ids",
        label: t("escalation.policies"),
        options: named("sla-policies"),
        value: item?.policy_ids ?? [],
      }),
    ),
    listField({
      name: "steps",
      label: t("escalation.steps"),
      hint: t("escalation.steps_hint"),
      most: 20,
      add: t("escalation.add_step"),
      removeText: t("escalation.remove_step"),
      value: item?.steps ?? [{ after: 0, time: "calendar", actions: [alert] }],
      blank: () => ({ after: 3600, time: "calendar", actions: [alert] }),
      line: step,
    }),
    checkField({ name: "enabled", label: t("calling.enabled"), value: item?.enabled ?? true }),
  ];
}

function stepOf({ after, time, actions: does }, kinds) {
  const [seconds, clock] = [signal(after), signal(time)];
  const done = actions({ value: does, kinds });
  const when = h(
    "div",
    { class: "sentence" },
    h("span", { class: "sentence-word" }, t("escalation.after")),
    span$({ label: t("escalation.after"), value: seconds, min: 0 }),
    choice$({
      label: t("escalation.time"),
      options: words(["calendar", "business"], (one) => say(one, "escalation.clock")),
      value: clock,
    }),
  );
  return {
    node: h("div", { class: "wide stack" }, when, done),
    read: () => ({ after: seconds.peek() ?? 0, time: clock.peek(), actions: done.read() }),
  };
}
