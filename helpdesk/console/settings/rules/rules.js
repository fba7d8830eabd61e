// Automation rules, readable as sentences: when this happens, and if that holds, then do these.

import { every } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { checkField, textField } from "../../kernel/form.js";
import { say, t } from "../../kernel/i18n.js";
import { may } from "../../kernel/session.js";
import { signal } from "../../kernel/signals.js";
import { directory } from "../../kernel/store.js";
import { actions } from "../actions.js";
import { conditions } from "../conditions.js";
import { numberField } from "../fields.js";
import { collection, editForm } from "../kit.js";
import { versions } from "../versions.js";
import { trial } from "./trial.js";
import { occasion, OF_MESSAGES } from "./occasion.js";

const KINDS = [
  "assign",
  "team",
  "priority",
  "status",
  "category",
  "tag",
  "custom_field",
  "note",
  "reply",
  "watch",
  "alert",
  "webhook",
];

export const view = () =>
  collection({
    page: "rules",
    from: "/automation-rules",
    title: t("rules.title"),
    hint: t("rules.hint"),
    add: may("admin") ? t("rules.add") : null,
    none: { title: t("rules.none"), text: t("rules.none_text"), icon: "refresh" },
    order: (one, other) => one.position - other.position || one.name.localeCompare(other.name),
    // The editor asks what custom fields there are while it reads a filter: they have to be here first.
    read: async () => {
      await directory("custom-fields").ready.catch(() => {});
      return every("/automation-rules");
    },
    row: (one) => ({ title: one.name, text: inShort(one), badges: one.enabled ? [] : [[t("rules.off"), "warn"]] }),
    editor,
  });

function inShort({ when, do: done }) {
  const begins = when.events
    ? when.events.map((one) => say(one.replace(".", "_"), "rules.event")).join(" · ")
    : t("rules.elapsed");
  return `${begins} → ${done.map((one) => say(one.do, "sentence.do")).join(" · ")}`;
}

function editor(item, tools) {
  const events = signal(null);
  return editForm({
    path: "/automation-rules",
    item,
    may: may("admin"),
    removeText: () => t("rules.remove"),
    read: (values) => ({
      ...values,
      stop: events.peek() ? values.stop : false,
      ...(item ? {} : { enabled: values.enabled }),
    }),
    children: fields(item, events),
    more: item && [
      may("admin") && trial(item),
      versions({ path: "/automation-rules", item, fields, tools, may: may("admin") }),
    ],
    ...tools,
  });
}

/** `events` are told which are chosen, null while time is what counts. */
function fields(item, events = signal(null)) {
  events.value = item?.when.events ?? (item ? null : ["message.received"]);
  // Only of one event that has a message can be asked what the message says.
  const messages = () => Boolean(events.value?.length) && events.value.every((one) => OF_MESSAGES.includes(one));
  const kinds = may("admin")
    ? KINDS
    : KINDS.filter((one) => one !== "webhook" || item?.do.some(({ do: kind }) => kind === one));
  return [
    textField({ name: "name", label: t("rules.name"), value: item?.name ?? "", required: true, autocomplete: "off" }),
    step(t("rules.when"), occasion({ value: item?.when, events })),
    step(t("rules.if"), conditions({ name: "if", value: item?.if ?? {}, messages })),
    step(t("rules.do"), actions({ name: "do", value: item?.do ?? [{ do: "tag", add: [], remove: [] }], kinds })),
    h(
      "div",
      { hidden: () => !events.value },
      checkField({ name: "stop", label: t("rules.stop"), value: item?.stop ?? false }),
    ),
    numberField({
      name: "position",
      label: t("rules.position"),
      hint: t("rules.position_hint"),
      value: item?.position ?? 100,
      min: 0,
      max: 10000,
      required: true,
    }),
    checkField({
      name: "enabled",
      label: t("rules.enabled"),
      hint: t("rules.enabled_hint"),
      value: item ? item.enabled : true,
    }),
  ];
}

const step = (word, node) => h("div", { class: "rule-step" }, h("p", { class: "rule-word" }, word), node);
