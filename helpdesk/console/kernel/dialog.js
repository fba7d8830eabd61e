// Dialogs, by the browser's own <dialog>: it keeps the focus, closes by Escape, and gives the focus back.

import { detached, h } from "./dom.js";
import { t } from "./i18n.js";
import { button } from "./parts.js";
import { composing } from "./keys.js";

let names = 0;

/**
 * Show until closed. `body(close)` makes the content, `actions(close)` the buttons below it; what is given to `close` is
 * the answer, undefined where somebody turned away. `mayClose` is asked before Escape and the cross. `kind`: "", wide, drawer.
 */
export function dialog({ title, body, actions, kind = "", mayClose = () => true }) {
  const opener = document.activeElement;
  return new Promise((answer) => {
    let given;
    const close = (value) => {
      given = value;
      element.close();
    };
    const turnAway = async () => (await mayClose()) && close();
    const id = `dialog-${(names += 1)}`;
    const { value: element, dispose } = detached(() =>
      h(
        "dialog",
        { class: ["dialog", kind], "aria-labelledby": id },
        h("header", {}, h("h2", { id }, title), button({ icon: "close", label: t("shell.close"), kind: "quiet", run: turnAway })),
        h("div", { class: "dialog-body" }, body(close)),
        actions && h("footer", {}, actions(close)),
      ),
    );
    element.addEventListener("keydown", (event) => composing(event) && event.key === "Escape" && event.preventDefault());
    element.addEventListener("cancel", (event) => {
      event.preventDefault();
      turnAway();
    });
    element.addEventListener("pointerdown", (event) => event.target === element && turnAway());
    element.addEventListener("close", () => {
      dispose();
      element.remove();
      if (opener?.isConnected) opener.focus({ preventScroll: true });
      answer(given);
    });
    document.body.append(element);
    element.showModal();
    element.querySelector("[autofocus]")?.focus();
  });
}

export const drawer = (given) => dialog({ ...given, kind: "drawer" });

/** A question with yes and no. */
export const ask = ({ title, text, confirm = t("shell.ok"), danger = false }) =>
  dialog({
    title,
    body: () => h("p", {}, text),
    actions: (close) => [
      button({ text: t("shell.cancel"), run: () => close(false) }),
      button({ text: confirm, kind: danger ? "danger" : "primary", autofocus: true, run: () => close(true) }),
    ],
  }).then(Boolean);
