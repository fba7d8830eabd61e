// What is shown once and never again: tokens, secrets, links; and the parts below a form that do something at once.

import { h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { toast } from "../kernel/toast.js";

/** A secret with a button that copies it. */
export function shownOnce(label, value, hint = t("sentence.once")) {
  const input = h("input", {
    class: "input secret",
    readonly: true,
    value,
    "aria-label": label,
    on: { focus: () => input.select() },
  });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      toast(t("sentence.copied"), { kind: "done" });
    } catch {
      input.focus(); // not allowed here: it is selected, the keyboard copies it
    }
  };
  return h(
    "div",
    { class: "once", role: "status" },
    h("strong", {}, label),
    h("div", { class: "row" }, input, button({ text: t("sentence.copy"), run: copy })),
    h("p", { class: "hint" }, hint),
  );
}

/** Something that belongs to the thing and is not saved with its form. */
export const section = (title, ...parts) =>
  h("section", { class: "stack settings-section" }, h("h3", {}, title), parts);
