// Fields that settings need beside the kernel's: each reads itself by `read()`.

import { h } from "../kernel/dom.js";
import { field, textField } from "../kernel/form.js";
import { LANGUAGES, t } from "../kernel/i18n.js";
import { may, me } from "../kernel/session.js";
import { effect, signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";

export const numberField = ({ value, ...more }) =>
  textField({ type: "number", inputmode: "numeric", value: value ?? "", ...more });

/** One of several, or none of them where `none` has words for that. `options` may follow what is still being read. */
export function choiceField({ label, hint, name, value, options, none, ...more }) {
  const input = h("select", { class: "input", name, ...more });
  const given = value ?? "";
  effect(() => {
    const chosen = input.options.length ? input.value : given;
    const all = typeof options === "function" ? options() : options;
    // What is chosen but not (yet) among them stands for itself: a form must not change it by being looked at.
    const stray =
      chosen && !all.some((one) => one.id === chosen) ? [{ id: chosen, text: options.nameOf?.(chosen) ?? chosen }] : [];
    input.replaceChildren(
      ...[...(none ? [{ id: "", text: none }] : []), ...all, ...stray].map(({ id, text }) =>
        h("option", { value: id }, text),
      ),
    );
    input.value = chosen;
  });
  return Object.assign(field({ label, hint, input, name }), { read: () => input.value || null });
}

/** Several texts, one a line. */
export function linesField({ value = [], rows = 3, ...more }) {
  const node = textField({ rows, value: value.join("\n"), ...more });
  return Object.assign(node, { read: () => node.input.value.split("\n").map((one) => one.trim()).filter(Boolean) });
}

/**
 * One text in each language: `name` is an object by language in the API. With `rows`, of several lines; empty ones are
 * left out.
 */
export function languagesField({ label, hint, name, value = {}, rows, required = false }) {
  const inputs = Object.entries(LANGUAGES).map(([tag, language]) => [
    tag,
    textField({ label: language, rows, value: value[tag] ?? "", required: required === true, lang: tag }),
  ]);
  const wrong = signal("");
  const said = h("p", { class: "error", role: "alert" }, () => wrong.value);
  const node = h(
    "fieldset",
    { class: "settings-languages", data: { field: name } },
    h("legend", {}, label),
    hint && h("p", { class: "hint" }, hint),
    inputs.map(([, one]) => one),
    said,
  );
  return Object.assign(node, {
    input: inputs[0][1].input,
    wrong: (text) => (wrong.value = text),
    read: () =>
      Object.fromEntries(inputs.map(([tag, one]) => [tag, one.input.value.trim()]).filter(([, text]) => text)),
  });
}

/** For whom it is: oneself, a team, or everybody. Once made, that stays, so there are no fields for it then. */
export function sharing(item) {
  const teams = directory("teams");
  const led = () => teams.list.value.filter((one) => may("supervisor") || one.leads.includes(me.peek().id));
  if (item) return { fields: [] };
  const shared = signal("personal");
  const kinds = () => [
    { id: "personal", text: t("settings.personal") },
    ...(led().length ? [{ id: "team", text: t("settings.of_team") }] : []),
    ...(may("supervisor") ? [{ id: "everybody", text: t("settings.everybody") }] : []),
  ];
  const who = choiceField({
    name: "shared",
    label: t("settings.shared"),
    value: "personal",
    options: kinds,
    on: { change: (event) => (shared.value = event.target.value) },
  });
  const team = choiceField({
    name: "team_id",
    label: t("settings.team"),
    none: t("settings.choose_team"),
    options: () => led().map(({ id, name }) => ({ id, text: name })),
  });
  const place = h("div", { hidden: () => shared.value !== "team" }, team);
  return { fields: [who, place] };
}

/** Whether this person may change what is shared so. */
export function mayChange(item) {
  if (item.shared === "personal" || may("supervisor")) return true;
  return item.shared === "team" && Boolean(directory("teams").byId(item.team_id)?.leads.includes(me.peek().id));
}

/** The badge that tells for whom something is. */
export function sharedBadge(item) {
  if (item.shared === "personal") return [t("settings.personal"), ""];
  return item.shared === "team"
    ? [directory("teams").byId(item.team_id)?.name ?? t("settings.of_team"), "note"]
    : [t("settings.everybody"), "good"];
}

