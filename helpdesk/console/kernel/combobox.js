// A text field with a list of what it may mean (the ARIA pattern of that name): people, tags, commands.

import { each, h } from "./dom.js";
import { t } from "./i18n.js";
import { composing } from "./keys.js";
import { effect, signal } from "./signals.js";

let boxes = 0;

/**
 * `find(text)` answers `[{id, text, hint?, icon?}]`, at once or later; an answer that was overtaken is left out.
 * `choose(item)` is called with the one that was taken. With `open` the list is always there, as in the palette.
 */
export function combobox({ label, find, choose, placeholder, open = false, render = (item) => h("span", {}, item.text) }) {
  const id = `combobox-${(boxes += 1)}`;
  const text = signal("");
  const found = signal([]);
  const at = signal(0);
  const shown = signal(open);
  let asked = 0;
  const foundFor = signal(null);
  let hasty = false; // Enter came before what was typed had been found: the list is still another text's
  effect(() => {
    const wanted = text.value;
    const mine = (asked += 1);
    Promise.resolve(shown.value ? find(wanted) : []).then((items) => {
      if (mine !== asked) return;
      found.value = items;
      at.value = 0;
      foundFor.value = wanted;
      if (!hasty) return;
      hasty = false;
      take(items[0]);
    });
  });
  const take = (item) => {
    if (!item) return;
    if (!open) {
      shown.value = false;
      input.value = text.value = "";
    }
    choose(item);
  };
  const keydown = (event) => {
    if (composing(event)) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const count = found.peek().length;
    if (by && count) at.value = (at.peek() + by + count) % count;
    else if (event.key === "Enter" && shown.peek() && foundFor.peek() !== text.peek()) hasty = true;
    else if (event.key === "Enter" && shown.peek() && count) take(found.peek()[at.peek()]);
    else if (event.key === "Escape" && shown.peek() && !open) shown.value = false;
    else return;
    event.preventDefault();
    event.stopPropagation();
    document.getElementById(`${id}-${at.peek()}`)?.scrollIntoView({ block: "nearest" });
  };
  const input = h("input", {
    class: "input",
    type: "text",
    role: "combobox",
    placeholder,
    "aria-label": label,
    "aria-autocomplete": "list",
    "aria-controls": id,
    "aria-expanded": () => String(shown.value && found.value.length > 0),
    "aria-activedescendant": () => (shown.value && found.value.length ? `${id}-${at.value}` : null),
    autocomplete: "off",
    spellcheck: "false",
    on: {
      input: () => ((hasty = false), (text.value = input.value), (shown.value = true)),
      focus: () => (shown.value = true),
      blur: () => open || setTimeout(() => (shown.value = false), 150),
      keydown,
    },
  });
  const option = (item$, index$) =>
    h(
      "div",
      {
        role: "option",
        id: () => `${id}-${index$.value}`,
        "aria-selected": () => String(index$.value === at.value),
        on: { pointerdown: (event) => (event.preventDefault(), take(item$.peek())) },
      },
      () => render(item$.value),
    );
  const list = h("div", { class: "options", role: "listbox", id, "aria-label": label, hidden: () => !shown.value || !found.value.length }, each(() => found.value, (item) => item.id, option));
  const none = () => shown.value && text.value.trim() && foundFor.value === text.value && !found.value.length;
  const told = h("p", { class: () => none() && "options soft", role: "status" }, () => none() && t("shell.none_found"));
  return Object.assign(h("div", { class: ["combobox", open && "open"] }, input, list, told), { input });
}
