// Controls that sentences and settings are put together from: some of several, a span of time, one of several in a
// line.

import { combobox } from "../kernel/combobox.js";
import { each, h } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { button, chip } from "../kernel/parts.js";
import { flush, isSignal, signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { valueOf } from "./form.js";

const SHOWN = 50;
const tell = (node) => node.dispatchEvent(new Event("change", { bubbles: true }));
let picks = 0;
let keys = 0;

/** What a word list or a directory offers: `{id, text}` each. */
export const words = (all, prefix) => () => all.map((id) => ({ id, text: prefix(id) }));
/** `nameOf` knows those too who are not offered any more, and are named somewhere still. */
export function named(name) {
  const options = () =>
    directory(name)
      .list.value.filter((one) => one.active !== false && !one.archived)
      .map(({ id, name: text }) => ({ id, text }));
  return Object.assign(options, { nameOf: (id) => directory(name).byId(id)?.name });
}

/**
 * Some of several, as a control: what is chosen as chips, and a box that finds more. With `create`, also what is not
 * there yet. `value` is a signal of ids.
 */
export function picks$({ label, options, value, create = false, placeholder = t("sentence.add") }) {
  const textOf = (id) => options().find((one) => one.id === id)?.text ?? options.nameOf?.(id) ?? id;
  const find = (typed) => {
    const wanted = typed.trim();
    const low = wanted.toLocaleLowerCase();
    const found = options()
      .filter((one) => !value.peek().includes(one.id) && one.text.toLocaleLowerCase().includes(low))
      .slice(0, SHOWN);
    const known = [...value.peek().map(textOf), ...found.map((one) => one.text)].includes(wanted);
    return create && wanted && !known ? [...found, { id: wanted, text: wanted }] : found;
  };
  const set = (ids) => {
    value.value = ids;
    tell(node);
  };
  const box = combobox({ label, placeholder, find, choose: ({ id }) => set([...value.peek(), id]) });
  const one = (id$) =>
    chip({
      text: () => textOf(id$.value),
      remove: () => (set(value.peek().filter((id) => id !== id$.peek())), box.input.focus()),
    });
  const node = h(
    "div",
    { class: "picks" },
    h(
      "span",
      { class: "picked" },
      each(
        () => value.value,
        (id) => id,
        one,
      ),
    ),
    box,
  );
  return Object.assign(node, { input: box.input });
}

const labelled = (name, label, hint, id, control, read, wrong = signal("")) => {
  const said = h("p", { class: "error", role: "alert" }, () => wrong.value);
  const node = h(
    "div",
    { class: "field", data: { field: name } },
    h("label", { for: id }, label),
    hint && h("p", { class: "hint" }, hint),
    control,
    said,
  );
  return Object.assign(node, { input: control.input ?? control, read, wrong: (text) => (wrong.value = text) });
};

/** The same as a field of a form. */
export function pickMany({ label, hint, name, options, value = [], create }) {
  const chosen = signal(value);
  const control = picks$({ label, options, value: chosen, create });
  control.input.id = `pick-${(picks += 1)}`;
  return labelled(name, label, hint, control.input.id, control, () => chosen.peek());
}

/** Some of a few, all of them to be seen. */
export function chipsField({ label, hint, name, options, value = [] }) {
  const chosen = signal(value);
  const id = `pick-${(picks += 1)}`;
  const turn = (one) =>
    (chosen.value = options()
      .map((each_) => each_.id)
      .filter((each_) => (each_ === one ? !chosen.peek().includes(one) : chosen.peek().includes(each_))));
  const wrong = signal("");
  const chips = h("div", { class: "picked", role: "group", "aria-labelledby": id }, () =>
    options().map((one) => chip({ text: one.text, on: () => chosen.value.includes(one.id), run: () => turn(one.id) })),
  );
  const said = h("p", { class: "error", role: "alert" }, () => wrong.value);
  const node = h(
    "div",
    { class: "field", data: { field: name } },
    h("span", { class: "field-name", id }, label),
    hint && h("p", { class: "hint" }, hint),
    chips,
    said,
  );
  return Object.assign(node, { input: chips, read: () => chosen.peek(), wrong: (text) => (wrong.value = text) });
}

const UNITS = { second: 1, minute: 60, hour: 3600, day: 86_400 };
/** The largest unit in which so many seconds are a whole number. */
const unitOf = (seconds, units) =>
  units.findLast((unit) => seconds && seconds % UNITS[unit] === 0) ?? units[Math.min(1, units.length - 1)];

/** A span of time as a control; `value` is a signal of seconds, null where nothing is said. */
export function span$({ label, value, units = ["minute", "hour", "day"], id, min = 1 }) {
  const all = value.peek() && value.peek() % 60 ? ["second", ...units] : units;
  const amount = h("input", {
    class: "input amount",
    type: "number",
    min,
    inputmode: "numeric",
    "aria-label": label,
    id,
  });
  const unit = h(
    "select",
    { class: "input unit", "aria-label": t("sentence.unit_of", { name: label }) },
    all.map((one) => h("option", { value: one }, say(one, "sentence.unit"))),
  );
  unit.value = unitOf(value.peek(), all);
  amount.value = value.peek() === null ? "" : value.peek() / UNITS[unit.value];
  const node = h(
    "span",
    {
      class: "span",
      on: {
        input: () => (value.value = amount.value === "" ? null : Math.round(Number(amount.value) * UNITS[unit.value])),
      },
    },
    amount,
    unit,
  );
  return Object.assign(node, { input: amount });
}

/** The same as a field of a form. */
export function durationField({ label, hint, name, value = null, ...more }) {
  const chosen = isSignal(value) ? value : signal(value);
  const id = `pick-${(picks += 1)}`;
  return labelled(name, label, hint, id, span$({ label, value: chosen, id, ...more }), () => chosen.peek());
}

/** One of several, in a line; `value` is a signal, null where it is none of them. */
export function choice$({ label, options, value, none, change }) {
  const option = ({ id, text }) => h("option", { value: id, selected: id === (value.peek() ?? "") }, text);
  const stray = (all) =>
    value.peek() && !all.some((one) => one.id === value.peek())
      ? [{ id: value.peek(), text: options.nameOf?.(value.peek()) ?? String(value.peek()) }]
      : [];
  const choose = (event) => {
    value.value = event.target.value || null;
    change?.(value.peek());
  };
  const all = () => [...(none ? [{ id: "", text: none }] : []), ...options(), ...stray(options())];
  return h("select", { class: "input", "aria-label": label, on: { change: choose } }, () => all().map(option));
}

/** A text in a line; with `rows`, several lines. */
export function text$({ label, value, type = "text", rows, ...more }) {
  const write = (event) =>
    (value.value =
      type === "number" ? (event.target.value === "" ? null : Number(event.target.value)) : event.target.value);
  return h(rows ? "textarea" : "input", {
    class: "input",
    ...(rows ? { rows } : { type }),
    "aria-label": label,
    value: value.peek() ?? "",
    on: { input: write },
    ...more,
  });
}

/** What takes a line of a sentence away; the focus goes on to what stands after it. */
export const removeLine = (label, run) => button({ icon: "close", label, kind: "quiet", run });

/** Fields that are one value of the API together: an object by their names. */
export function groupField({ name, label, hint, fields }) {
  const wrong = signal("");
  const said = h("p", { class: "error", role: "alert" }, () => wrong.value);
  const node = h(
    "fieldset",
    {
      class: ["settings-group", !fields.some((one) => one.querySelector(".picks, .picked")) && "together"],
      data: { field: name },
    },
    h("legend", {}, label),
    hint && h("p", { class: "hint" }, hint),
    fields,
    said,
  );
  const read = () =>
    Object.fromEntries(fields.map((one) => [one.dataset.field, one.read ? one.read() : valueOf(one.input)]));
  return Object.assign(node, { input: fields[0].input, read, wrong: (text) => (wrong.value = text) });
}

/**
 * The field of a form that is a list. `line(value)` answers `{node, read()}`: the controls of one, and what they say.
 * What `add` is on the button begins a line with `blank()`; `removeText` names what takes one away.
 */
export function listField({ name, label, hint, value = [], add, blank, removeText, line, most = 100 }) {
  const model = (one) => ({ key: (keys += 1), value: one, read: () => one });
  const list = signal(value.map(model));
  const wrong = signal("");
  const begin = () => {
    list.update((all) => [...all, model(blank())]);
    flush();
    node.querySelector(":scope > .lines > :last-child :is(input, select)")?.focus();
  };
  const more = button({
    text: add,
    icon: "plus",
    kind: "quiet",
    run: begin,
    disabled: () => list.value.length >= most,
  });
  const remove = (one) => () => {
    list.update((all) => all.filter((other) => other !== one));
    more.focus();
  };
  const made = (one$, index$) => {
    const one = one$.peek();
    const { node: controls, read } = line(one.value);
    const amiss = signal("");
    one.read = read;
    const place = h(
      "div",
      { class: "sentence", role: "group", "aria-label": label, data: { field: () => `${name}.${index$.value}` } },
      controls,
      h("p", { class: "error wide", role: "alert" }, () => amiss.value),
      removeLine(removeText, remove(one)),
    );
    return Object.assign(place, { input: place.querySelector("input, select"), wrong: (text) => (amiss.value = text) });
  };
  const lines = h(
    "div",
    { class: "lines" },
    each(
      () => list.value,
      (one) => one.key,
      made,
    ),
  );
  const said = h("p", { class: "error", role: "alert" }, () => wrong.value);
  const node = h(
    "div",
    { class: "field", data: { field: name } },
    h("span", { class: "field-name" }, label),
    hint && h("p", { class: "hint" }, hint),
    lines,
    h("div", { class: "row" }, more),
    said,
  );
  return Object.assign(node, {
    input: more,
    read: () => list.peek().map((one) => one.read()),
    wrong: (text) => (wrong.value = text),
  });
}
