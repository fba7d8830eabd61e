// The settings of a channel as fields, out of its schema.

import { Problem } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { checkField, selectField, textField } from "../../kernel/form.js";
import { has, say, t } from "../../kernel/i18n.js";
import { signal } from "../../kernel/signals.js";
import { linesField, numberField } from "../fields.js";
import { ASKED, groupsOf, LONG, MATTERS, SERVERS } from "./forms.js";
import { serverField } from "./server.js";

// A word of the channel itself where there is one, else of the setting in general, else what the connector's author
// wrote.
const labelOf = (channel, key, schema) =>
  has(`inbox_field.${channel}_${key}`)
    ? say(`${channel}_${key}`, "inbox_field")
    : has(`inbox_field.${key}`)
      ? say(key, "inbox_field")
      : (schema.title ?? key);
const known = (channel, key) => has(`inbox_field.${channel}_${key}`) || has(`inbox_field.${key}`);
const hintOf = (channel, key, schema) =>
  has(`inbox_hint.${channel}_${key}`)
    ? say(`${channel}_${key}`, "inbox_hint")
    : has(`inbox_hint.${key}`)
      ? say(key, "inbox_hint")
      : known(channel, key)
        ? undefined
        : schema.description;
const choices = (channel, key, words) =>
  words.map((one) => ({
    id: String(one),
    text: has(`inbox_choice.${key}_${one}`)
      ? say(`${key}_${one}`, "inbox_choice")
      : one === ""
        ? t("inboxes.not_chosen")
        : String(one),
  }));

function one(channel, key, schema, { values, secrets, needed }) {
  const value = values[key] ?? schema.default ?? (schema.type === "array" ? [] : "");
  const given = {
    name: `settings.${key}`,
    label: labelOf(channel, key, schema),
    hint: hintOf(channel, key, schema),
    required: needed,
  };
  if (SERVERS[key]) return serverField({ ...given, id: key, value });
  if (key === "prechat") return askedField({ ...given, value });
  if (schema.type === "array")
    return linesField({ ...given, value, spellcheck: "false", placeholder: schema.examples?.[0] });
  if (schema.type === "boolean") return checkField({ ...given, required: false, value });
  if (schema.enum) {
    const numeric = schema.type === "integer";
    const node = selectField({ ...given, value: String(value), options: choices(channel, key, schema.enum) });
    return Object.assign(node, { read: () => (numeric ? Number(node.input.value) : node.input.value) });
  }
  if (schema.type === "integer") return numberField({ ...given, value, min: schema.minimum, max: schema.maximum });
  if (schema.format === "password") return secretField({ ...given, stored: secrets.includes(key) });
  if (key === "color") return textField({ ...given, type: "color", value });
  return textField({
    ...given,
    value,
    ...(LONG.has(key) ? { rows: 3 } : { autocomplete: "off", spellcheck: "false" }),
    placeholder: schema.examples?.[0],
  });
}

/** What is stored is never shown. Left empty it stays, and what may be missing can be taken away. */
function secretField({ stored, required, ...given }) {
  const node = textField({
    ...given,
    type: "password",
    autocomplete: "new-password",
    required: required && !stored,
    placeholder: stored ? t("inboxes.secret_kept") : null,
  });
  const gone = signal(false);
  const taken =
    stored &&
    !required &&
    h(
      "label",
      { class: "inboxes-gone" },
      h("input", { type: "checkbox", on: { change: (event) => (gone.value = event.target.checked) } }),
      h("span", {}, t("inboxes.secret_gone")),
    );
  if (taken) node.append(taken);
  return Object.assign(node, { read: () => node.input.value || (gone.peek() ? "" : undefined) });
}

/** What visitors are asked before they write: not, if they like, or always. The API marks the last kind by a star. */
function askedField({ name, label, hint, value }) {
  const rows = ASKED.map((word) => {
    const state = value.includes(`${word}*`) ? "needed" : value.includes(word) ? "asked" : "no";
    const select = selectField({
      label: say(word, "inboxes.asked"),
      value: state,
      options: ["no", "asked", "needed"].map((id) => ({ id, text: say(id, "inboxes.ask") })),
    });
    return [word, select];
  });
  const wrong = signal("");
  const node = h(
    "div",
    { class: "inboxes-asked", role: "group", "aria-label": label, data: { field: name } },
    hint && h("p", { class: "hint" }, hint),
    rows.map(([, select]) => select),
    h("p", { class: "error", role: "alert" }, () => wrong.value),
  );
  const read = () =>
    rows.flatMap(([word, { input }]) => (input.value === "no" ? [] : [input.value === "needed" ? `${word}*` : word]));
  return Object.assign(node, { input: rows[0][1].input, read, wrong: (text) => (wrong.value = text) });
}

const valueOf = (node) => {
  if (node.read) return node.read();
  const { input } = node;
  if (input.type === "checkbox") return input.checked;
  if (input.type === "number") return input.value === "" ? null : Number(input.value);
  return input.tagName === "TEXTAREA" ? input.value : input.value.trim();
};

/**
 * `{nodes, read(), field(key), look()}`: the groups of a channel's settings, what differs from `values`, one field, and
 * showing what matters now. `only` leaves other settings out, as in the first steps, where `always` holds in their
 * stead.
 */
export function settingsFields({ channel, schema, values = {}, secrets = [], only, always = {} }) {
  const needed = schema.required ?? [];
  const groups = groupsOf(channel, schema).map(([name, keys]) => [
    name,
    keys.filter((key) => !only || only.includes(key)),
  ]);
  const made = new Map(
    groups
      .flatMap(([, keys]) => keys)
      .map((key) => [
        key,
        one(channel, key, schema.properties[key], { values, secrets, needed: needed.includes(key) }),
      ]),
  );
  const now = () => Object.fromEntries([...made].map(([key, node]) => [key, valueOf(node)]));
  const start = now();
  const look = () => {
    const given = { ...now(), ...always };
    for (const [key, matters] of Object.entries(MATTERS[channel] ?? {}))
      if (made.has(key)) made.get(key).hidden = !matters(given);
  };
  const read = () =>
    Object.fromEntries(
      Object.entries(now()).filter(
        ([key, value]) => value !== undefined && JSON.stringify(value) !== JSON.stringify(start[key]),
      ),
    );
  const shown = ([name, keys]) => {
    const nodes = keys.map((key) => made.get(key));
    if (!name) return nodes;
    if (name === "more")
      return h(
        "details",
        { class: "settings-more" },
        h("summary", {}, t("inboxes.more")),
        h("div", { class: "stack settings-fields" }, nodes),
      );
    return h("fieldset", { class: "settings-group" }, h("legend", {}, say(name, "inboxes.group")), nodes);
  };
  const nodes = h(
    "div",
    { class: "stack settings-fields", on: { input: look, change: look } },
    groups.filter(([, keys]) => keys.length).map(shown),
  );
  look();
  return { nodes, read, field: (key) => made.get(key), look };
}

/** The API names a setting within its sentence where a rule is about several: the sentence goes to that field. */
export function understand(error) {
  if (!(error instanceof Problem)) return error;
  error.errors = error.errors.map((one) => {
    const [, key, message] =
      one.field === "settings" ? (/^(?:Value error, )?([a-z_0-9]+): (.*)$/.exec(one.message) ?? []) : [];
    return key ? { field: `settings.${key}`, message } : one;
  });
  return error;
}
