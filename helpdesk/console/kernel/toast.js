// Short words at the edge of the screen: what was done and how to undo it, or what went wrong and what to do.

import { explain, isAbort } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { button } from "./parts.js";

const SECONDS = { done: 6, info: 6, wrong: 12 };
let region = null;

/** Readers tell what changes in a place that they know: it is there before its first word. */
export function place() {
  region ??= h("div", { class: "toasts", popover: "manual", role: "status", "aria-live": "polite" });
  if (!region.isConnected) document.body.append(region);
  // Above what is open by now: dialogs and menus lie in the top layer as well.
  if (region.matches(":popover-open") && document.querySelector(":modal, :popover-open:not(.toasts)")) region.hidePopover();
  if (!region.matches(":popover-open")) region.showPopover();
  return region;
}

/** Answers what takes it away. It stays while it is pointed at or has focus. `kind`: done, info, wrong. */
export function toast(text, { kind = "info", action, seconds = SECONDS[kind] } = {}) {
  let timer = 0;
  const close = () => {
    clearTimeout(timer);
    node.remove();
  };
  const stay = () => clearTimeout(timer);
  const go = () => (stay(), (timer = setTimeout(close, seconds * 1000)));
  const node = h(
    "div",
    { class: ["toast", kind], on: { pointerenter: stay, pointerleave: go, focusin: stay, focusout: go } },
    h("p", {}, text),
    action && button({ text: action.text, kind: "quiet", run: () => (close(), attempt((async () => action.run())())) }),
    button({ icon: "close", label: t("shell.close"), kind: "quiet tiny", run: close }),
  );
  // What happens twice is told once.
  for (const one of region?.children ?? []) if (one.firstElementChild.textContent === node.firstElementChild.textContent) one.remove();
  place().append(node);
  go();
  return close;
}

/** Wait for something and tell how it ended. Answers undefined where it failed. `undo` offers to take it back. */
export async function attempt(promise, { done, undo } = {}) {
  try {
    const found = await promise;
    if (done) toast(done, { kind: "done", action: undo && { text: t("shell.undo"), run: undo } });
    return found ?? null;
  } catch (error) {
    if (isAbort(error)) return undefined;
    if (!error.slug && !navigator.onLine) toast(t("problem.offline"), { kind: "wrong" });
    else toast(explain(error), { kind: "wrong" });
    return undefined;
  }
}
