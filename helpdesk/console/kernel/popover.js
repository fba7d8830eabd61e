// Menus and small panes beside a button, in the browser's top layer.

import { detached, h } from "./dom.js";
import { icon } from "./icons.js";
import { composing } from "./keys.js";
import { keys } from "./parts.js";

const GAP = 4;

/** Put an element below its button, or above where there is more room, and within the window. */
export function place(element, beside) {
  const box = beside.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = element;
  const below = innerHeight - box.bottom;
  const top = below >= height + GAP || below >= box.top ? box.bottom + GAP : box.top - height - GAP;
  const left = Math.min(Math.max(GAP, document.dir === "rtl" ? box.right - width : box.left), innerWidth - width - GAP);
  element.style.setProperty("left", `${Math.max(GAP, left)}px`);
  element.style.setProperty("top", `${Math.max(GAP, Math.min(top, innerHeight - height - GAP))}px`);
}

/** Open `build(close)` beside a button. Answers what closes it; it also closes by Escape and by a click elsewhere. */
export function popover(beside, build, { kind = "popover", role } = {}) {
  const close = () => element.isConnected && element.hidePopover();
  const { value: element, dispose } = detached(() => h("div", { class: kind, popover: "auto", role }, build(close)));
  beside.setAttribute("aria-expanded", "true");
  element.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    const inside = element.contains(document.activeElement) || document.activeElement === document.body;
    dispose();
    element.remove();
    beside.setAttribute("aria-expanded", "false");
    if (inside && beside.isConnected) beside.focus({ preventScroll: true });
  });
  // Beside the button in the document too: within a dialog, so that its focus stays there.
  (beside.closest("dialog") ?? document.body).append(element);
  element.showPopover();
  let height = element.offsetHeight;
  const grown = new ResizeObserver(() => {
    if (element.offsetHeight <= height) return;
    height = element.offsetHeight;
    place(element, beside);
  });
  // At once, and again for what comes later; what becomes less while one types stays where it is.
  place(element, beside);
  grown.observe(element);
  return { close, element };
}

/** A menu of `{text, icon, run, checked, keys, danger, disabled}`; "-" draws a line. */
export function menu(beside, items) {
  let close = () => {};
  const entry = (item) =>
    item === "-"
      ? h("hr", {})
      : h(
          "button",
          {
            type: "button",
            role: item.checked === undefined ? "menuitem" : "menuitemcheckbox",
            "aria-checked": item.checked === undefined ? null : String(item.checked),
            tabindex: "-1",
            class: item.danger && "danger",
            disabled: item.disabled,
            on: { click: () => (close(), item.run()) },
          },
          h("span", { class: "mark" }, item.checked ? icon("check", { size: 16 }) : item.icon && icon(item.icon, { size: 16 })),
          h("span", { class: "grow" }, item.text),
          item.keys && keys(item.keys),
        );
  const shown = popover(beside, () => items.filter(Boolean).map(entry), { kind: "menu", role: "menu" });
  close = shown.close;
  const all = () => [...shown.element.querySelectorAll("button:not(:disabled)")];
  shown.element.addEventListener("keydown", (event) => {
    if (composing(event)) return;
    const list = all();
    const at = list.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      list.at(to % list.length)?.focus();
    } else if (event.key.length === 1) {
      const letter = event.key.toLowerCase();
      const rest = [...list.slice(at + 1), ...list.slice(0, at + 1)];
      rest.find((one) => one.textContent.trim().toLowerCase().startsWith(letter))?.focus();
    } else if (event.key === "Tab") close();
  });
  all()[0]?.focus();
  return shown;
}
