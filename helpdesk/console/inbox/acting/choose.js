// One of several, some tags, or a time: asked in the middle of the screen, so that the keys suffice.

import { combobox } from "../../kernel/combobox.js";
import { dialog } from "../../kernel/dialog.js";
import { each, h } from "../../kernel/dom.js";
import { compare, dateTime, now } from "../../kernel/format.js";
import { textField } from "../../kernel/form.js";
import { t } from "../../kernel/i18n.js";
import { composing } from "../../kernel/keys.js";
import { button } from "../../kernel/parts.js";
import { signal } from "../../kernel/signals.js";
import { directory } from "../../kernel/store.js";

const fits = (wanted) => (one) => one.text.toLowerCase().includes(wanted.trim().toLowerCase());

/** One of `options`, `{id, text, hint?}`; undefined where somebody turned away. */
export function choose({ title, options }) {
  const find = (text) => options.filter(fits(text));
  const render = (one) => [h("span", { class: "grow cut" }, one.text), one.hint && h("span", { class: "soft" }, one.hint)];
  const body = (close) => {
    const box = combobox({ label: title, placeholder: t("acting.type"), find, choose: close, open: true, render });
    box.input.autofocus = true;
    return box;
  };
  return dialog({ title, kind: "palette", body });
}

const at = (days, hour) => {
  const day = new Date(now());
  day.setDate(day.getDate() + days);
  return day.setHours(hour, 0, 0, 0);
};

/** A time to come, in milliseconds: one of those that are mostly meant, or any. */
export async function chooseTime() {
  const monday = (8 - new Date(now()).getDay()) % 7 || 7;
  const times = [
    ["hours", t("acting.in_hours"), now() + 3 * 3_600_000],
    ["evening", t("acting.evening"), at(0, 18)],
    ["tomorrow", t("acting.tomorrow"), at(1, 9)],
    ["monday", t("acting.monday"), at(monday, 9)],
    ["week", t("acting.week"), at(7, 9)],
  ].filter(([, , time]) => time > now() + 600_000);
  const options = times.map(([id, text, time]) => ({ id, text, time, hint: dateTime(time) }));
  const chosen = await choose({ title: t("acting.snooze_until"), options: [...options, { id: "other", text: t("acting.other_time") }] });
  return chosen?.id === "other" ? typedTime() : chosen?.time;
}

function typedTime() {
  const local = new Date(at(1, 9) - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  const field = textField({ label: t("acting.snooze_until"), name: "until", type: "datetime-local", value: local, autofocus: true });
  const take = (close) => {
    const time = Date.parse(field.input.value);
    if (time > now()) close(time);
    else field.wrong(t("acting.past"));
  };
  return dialog({
    title: t("acting.other_time"),
    body: (close) => h("form", { on: { submit: (event) => (event.preventDefault(), take(close)) } }, field),
    actions: (close) => [button({ text: t("shell.cancel"), run: () => close() }), button({ text: t("acting.snooze"), kind: "primary", run: () => take(close) })],
  });
}

/** Tags to add to and to take from all of these conversations. */
export async function chooseTags(items) {
  const known = directory("tags");
  await known.ready;
  const names = [...new Set([...known.list.peek().map((one) => one.name), ...items.flatMap((one) => one.tags)])].sort(compare);
  const wanted = signal("");
  const states = new Map(names.map((name) => [name, signal(stateOf(items, name))]));
  const [found, before] = [() => names.map((id) => ({ id, text: id })).filter(fits(wanted.value)), new Map([...states].map(([name, one]) => [name, one.peek()]))];
  const search = h("input", { class: "input", type: "search", autofocus: true, "aria-label": t("acting.type"), placeholder: t("acting.type"), on: { input: () => (wanted.value = search.value) } });
  const option = (one$) => {
    const state = states.get(one$.peek().id);
    const box = h("input", { type: "checkbox", checked: () => state.value === true, indeterminate: () => state.value === null, on: { change: () => (state.value = box.checked) } });
    return h("label", { class: "inbox-option" }, box, h("span", { class: "cut" }, one$.peek().text));
  };
  const chosen = () => {
    const changed = names.filter((name) => states.get(name).peek() !== before.get(name));
    return { add: changed.filter((name) => states.get(name).peek()), remove: changed.filter((name) => !states.get(name).peek()) };
  };
  const answer = await dialog({
    title: t("acting.tags", { n: items.length }),
    body: (close) =>
      h("form", { class: "stack", on: { submit: (event) => event.preventDefault(), keydown: (event) => event.key === "Enter" && !composing(event) && close(chosen()) } }, search, h("div", { class: "inbox-choices" }, each(found, (one) => one.id, option)), () => names.length === 0 && h("p", { class: "soft" }, t("acting.no_tags"))),
    actions: (close) => [button({ text: t("shell.cancel"), run: () => close() }), button({ text: t("acting.apply"), kind: "primary", run: () => close(chosen()) })],
  });
  return answer && (answer.add.length || answer.remove.length) ? answer : null;
}

/** On all of them true, on none false, on some null. */
function stateOf(items, name) {
  const having = items.filter((one) => one.tags.includes(name)).length;
  return having === 0 ? false : having === items.length || null;
}
