// Custom fields, changed where they are read: a value is kept when one leaves it, Escape takes back what was typed.

import { each, h } from "../kernel/dom.js";
import { date, list, number } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { composing } from "../kernel/keys.js";
import { computed, effect, signal, untracked } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { keep } from "./keeping.js";

let made = 0;

const MEANS = {
  text: { type: "text" },
  url: { type: "url", inputmode: "url" },
  date: { type: "date" },
  number: { type: "number", step: "any", read: (text) => (text === "" ? null : Number(text)) },
};

/** The fields of `subject` (conversation or contact). `item` is a signal of it, `target` what `keep` writes to. */
export function customFields(subject, item, target) {
  const known = directory("custom-fields");
  const values = () => item.value?.custom_fields ?? {};
  // A field that was archived is still shown where it says something.
  const all = computed(() => known.list.value.filter((one) => one.subject === subject && (!one.archived || values()[one.key] != null)));
  // One that is there stays, whatever else is changed: somebody may be typing in it.
  const key = (one) => `${one.key} ${one.version}`;
  return each(() => all.value, key, (one$) => customField(one$.peek(), () => values()[one$.peek().key] ?? null, target));
}

function customField(field, value, target) {
  const part = {
    label: field.title,
    of: (found) => found.custom_fields[field.key] ?? null,
    body: (given) => ({ custom_fields: { [field.key]: given } }),
    words: (given) => wordsOf(field, given),
  };
  if (field.archived) return row(field.title, () => h("span", {}, () => wordsOf(field, value())));
  if (field.type === "multi_choice") return several(field, value, target, part);
  if (field.type === "choice" || field.type === "boolean") return choice(part, field.type === "boolean" ? booleans() : field.options.map((one) => ({ id: one, text: one, value: one })), value, target);
  return line(part, value, target, MEANS[field.type]);
}

function wordsOf({ type }, value) {
  if (value === null || value === "") return t("beside.nothing");
  if (type === "boolean") return value ? t("beside.yes") : t("beside.no");
  if (type === "number") return number(value, { maximumFractionDigits: 10 });
  if (type === "date") return date(`${value}T12:00`);
  return Array.isArray(value) ? list(value) : String(value);
}

const booleans = () => [
  { id: "true", text: t("beside.yes"), value: true },
  { id: "false", text: t("beside.no"), value: false },
];

/** A name and its value, as a row. `control` gets the id that its label is for. */
export function row(name, control, id = `fact-${(made += 1)}`) {
  return h("div", { class: "fact", data: { fact: name } }, h("label", { for: id }, name), control(id));
}

/** Keep a value and show at the control what is wrong with it. */
function keeper(part, value, target, wrong) {
  let base = untracked(value);
  return {
    begin: () => (base = value()),
    write: async (given) => {
      wrong.value = "";
      try {
        return await keep(target, part, given, base);
      } catch {
        wrong.value = t("beside.not_taken");
        return true; // what was typed stays, to be put right
      }
    },
  };
}

/** A line of text, a number, a date or an address. */
export function line(part, value, target, { read = (text) => text.trim() || null, ...input } = {}) {
  const wrong = signal("");
  const { begin, write } = keeper(part, value, target, wrong);
  let touched = false;
  const put = async (event) => {
    touched = false;
    if (event.target.validity.badInput || event.target.validity.typeMismatch) return void (wrong.value = t("beside.not_taken"));
    if (!(await write(read(event.target.value)))) event.target.value = value() ?? "";
  };
  const keydown = (event) => {
    if (composing(event)) return;
    if (event.key === "Enter") event.target.blur();
    if (event.key !== "Escape") return;
    event.stopPropagation();
    event.target.value = value() ?? "";
    wrong.value = "";
    event.target.blur();
  };
  return row(part.label, (id) => {
    const box = h("input", { class: "input bare", id, autocomplete: "off", "aria-describedby": `${id}-wrong`, "aria-invalid": () => String(Boolean(wrong.value)), placeholder: t("beside.nothing"), ...input, on: { focus: begin, input: () => (touched = true), change: put, keydown } });
    effect(() => {
      const now = value() ?? "";
      if (!touched || box !== document.activeElement) box.value = now;
      box.toggleAttribute("data-bare", now === "");
    });
    return h("div", { class: "fact-value" }, box, input.type === "url" && (() => value() && h("a", { class: "soft", href: value(), target: "_blank", rel: "noopener noreferrer" }, t("beside.open_link"))), h("p", { class: "error", id: `${id}-wrong`, role: "alert" }, () => wrong.value));
  });
}

/** One of several, or none; `options` are `{id, text, value}`. */
export function choice(part, options, value, target, none = t("beside.nothing")) {
  const wrong = signal("");
  const { begin, write } = keeper(part, value, target, wrong);
  const idOf = (given) => options.find((one) => one.value === given)?.id ?? "";
  const put = async ({ target: box }) => {
    const found = options.find((one) => one.id === box.value);
    if (!(await write(found ? found.value : null))) box.value = idOf(value());
  };
  return row(part.label, (id) => {
    const box = h("select", { class: "input bare", id, on: { focus: begin, change: put } }, none !== null && h("option", { value: "" }, none), options.map((one) => h("option", { value: one.id }, one.text)));
    effect(() => {
      box.value = idOf(value());
      box.toggleAttribute("data-bare", !box.value);
    });
    return h("div", { class: "fact-value" }, box, h("p", { class: "error", role: "alert" }, () => wrong.value));
  });
}

/** Any of several, folded into one line until it is opened. */
function several(field, value, target, part) {
  const wrong = signal("");
  const { begin, write } = keeper(part, value, target, wrong);
  const chosen = () => value() ?? [];
  const turn = async (event, option) => {
    const next = field.options.filter((one) => (one === option ? event.target.checked : chosen().includes(one)));
    begin();
    if (!(await write(next.length ? next : null))) event.target.checked = chosen().includes(option);
  };
  const box = (option) => h("label", { class: "row" }, h("input", { type: "checkbox", checked: () => chosen().includes(option), on: { change: (event) => turn(event, option) } }), h("span", {}, option));
  const name = `fact-${(made += 1)}`;
  return h("div", { class: "fact", role: "group", "aria-labelledby": name }, h("span", { id: name, class: "fact-name" }, field.title), h("details", { class: "fact-value" }, h("summary", {}, () => wordsOf(field, value())), field.options.map(box), h("p", { class: "error", role: "alert" }, () => wrong.value)));
}
