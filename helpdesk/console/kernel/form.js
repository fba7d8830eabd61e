// Forms: fields with names and hints, and what is wrong beside the field that it is about.

import { explain, inItsWords, Problem } from "./api.js";
import { h } from "./dom.js";
import { has, t } from "./i18n.js";
import { isSignal, signal } from "./signals.js";

let fields = 0;

/** A labelled control. `wrong` is a signal of what is wrong with it, or "". `input` is the control itself. */
export function field({ label, hint, wrong = signal(""), input, name }) {
  const id = input.id || (input.id = `field-${(fields += 1)}`);
  const described = [hint && `${id}-hint`, `${id}-wrong`].filter(Boolean).join(" ");
  input.setAttribute("aria-describedby", described);
  if (name) input.setAttribute("name", name);
  const check = input.type === "checkbox";
  const node = h(
    "div",
    { class: ["field", check && "check"], data: { field: name ?? input.name } },
    h("label", { for: id }, label),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    input,
    h("div", { class: "error", id: `${id}-wrong`, role: "alert" }, () => wrong.value),
  );
  return Object.assign(node, { input, wrong: (text) => ((wrong.value = text), input.setAttribute("aria-invalid", String(Boolean(text)))) });
}

/** A text field; with `rows`, of several lines. `value` may be a signal, which then follows what is typed. */
export function textField({ label, hint, name, value = "", type = "text", rows, ...more }) {
  const input = h(rows ? "textarea" : "input", { class: "input", name, rows, ...(rows ? {} : { type }), value, ...more });
  if (isSignal(value)) input.addEventListener("input", () => (value.value = input.value));
  return field({ label, hint, input, name });
}

/** One of several; `options` are `{id, text}`. */
export function selectField({ label, hint, name, value = "", options, ...more }) {
  const input = h("select", { class: "input", name, ...more }, options.map(({ id, text }) => h("option", { value: id }, text)));
  input.value = isSignal(value) ? value.peek() : value;
  if (input.selectedIndex < 0) input.selectedIndex = 0; // nothing chosen looks like nothing to choose from
  if (isSignal(value)) input.addEventListener("change", () => (value.value = input.value));
  return field({ label, hint, input, name });
}

export function checkField({ label, hint, name, value = false, ...more }) {
  const input = h("input", { type: "checkbox", name, checked: value, ...more });
  if (isSignal(value)) input.addEventListener("change", () => (value.value = input.checked));
  return field({ label, hint, input, name });
}

/**
 * A form that sends once at a time. `send(values, form)` does it; what the API finds wrong is shown at its field, the rest above
 * the buttons, and the first wrong field has the focus. `values` are the form's own entries.
 */
export function form({ send, children, buttons, ...more }) {
  const general = h("div", { class: "error", role: "alert" });
  const element = h(
    "form",
    {
      class: "stack",
      novalidate: true,
      on: {
        submit: async (event) => {
          event.preventDefault();
          if (element.ariaBusy === "true") return;
          element.ariaBusy = "true";
          clear(element, general);
          try {
            await send(Object.fromEntries(new FormData(element)), element);
          } catch (error) {
            fail(element, error, general);
          } finally {
            element.ariaBusy = "false";
          }
        },
      },
      ...more,
    },
    children,
    general,
    buttons && h("div", { class: "row buttons" }, buttons),
  );
  return element;
}

function clear(element, general) {
  general.textContent = "";
  for (const one of element.querySelectorAll("[data-field]")) one.wrong?.("");
}

/** Show what the API refused. */
export function fail(element, error, general) {
  const known = new Map([...element.querySelectorAll("[data-field]")].map((one) => [one.dataset.field, one]));
  let first = null;
  const rest = [];
  for (const { field: name, message } of error instanceof Problem ? error.errors : []) {
    const place = placeOf(known, name);
    if (!place?.wrong) {
      rest.push(`${name}: ${message}`);
      continue;
    }
    place.wrong(wordsFor(message));
    first ??= place;
  }
  general.replaceChildren(...(first && !rest.length ? [] : [...[explain(error)].flat(), ...(rest.length ? [inItsWords(rest.join("; "))] : [])]));
  first?.input?.focus();
}

/** The field that is named, or the nearest that it is a part of. */
function placeOf(known, name) {
  for (let at = name; at; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) if (known.has(at)) return known.get(at);
  return known.get(name.split(".").at(-1));
}

const RULES = [
  [/^is needed|^needed|^Field required/, "form.needed"],
  [/at least (\d+) characters/, "form.too_short"],
  [/at most (\d+) characters/, "form.too_long"],
  [/taken|already/, "form.taken"],
  [/^The code/, "problem.totp_wrong"],
];

function wordsFor(message) {
  for (const [rule, key] of RULES) {
    const found = rule.exec(message);
    if (found && has(key)) return t(key, { n: Number(found[1] ?? 0) });
  }
  return [t("form.wrong"), inItsWords(message)];
}
