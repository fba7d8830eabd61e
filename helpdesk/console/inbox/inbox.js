// The inbox: views, the list, the conversation, and what stands beside it. On a phone one of them at a time.

import { command } from "../kernel/commands.js";
import { detached, h } from "../kernel/dom.js";
import { number } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { empty } from "../kernel/parts.js";
import { go, here, loadArea, setTitle } from "../kernel/router.js";
import { computed, effect, onCleanup } from "../kernel/signals.js";
import { counts } from "./counts.js";
import { listPane } from "./list.js";
import { viewName, viewsPane } from "./views.js";

export function view() {
  const open = computed(() => here.value.params.id ?? null);
  effect(() => {
    const unread = counts.value?.unread;
    if (!open.value) setTitle(unread ? t("inbox.title_unread", { n: number(unread), name: viewName() }) : viewName());
  });
  command({ id: "close-conversation", keys: "Escape", text: t("inbox.close"), group: t("inbox.title"), when: () => Boolean(open.peek()), run: () => go(addressOf(null)) });
  return h("div", { class: "panes", data: { at: () => (open.value ? "conversation" : "list") } }, viewsPane(), listPane({ open, addressOf }), beyond("conversation", open), beyond("beside", open));
}

/** The address of a conversation within the present view, with its filters; of the list itself without an id. */
export function addressOf(id) {
  const { params, query } = here.peek();
  const path = `/inbox/${encodeURIComponent(params.view ?? "open")}${id ? `/${id}` : ""}`;
  return path + (query.size ? `?${query}` : "");
}

/** A pane of another area, loaded when there is a conversation to show. */
function beyond(area, open) {
  const holder = h("div", { class: `inbox-${area}` });
  let shown = { dispose: () => {} };
  onCleanup(() => shown.dispose());
  effect(() => {
    const id = open.value;
    if (!id) {
      shown.dispose();
      holder.replaceChildren(...(area === "conversation" ? [empty({ title: t("inbox.none_open"), text: t("inbox.none_open_hint") })] : []));
      return;
    }
    loadArea(area).then((module) => {
      if (open.peek() !== id) return;
      shown.dispose();
      shown = detached(() => module.view(id));
      holder.replaceChildren(shown.value);
    }, () => {});
  });
  return holder;
}
