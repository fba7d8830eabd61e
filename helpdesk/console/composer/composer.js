// Writing: an answer by the channel that the contact wrote by last.

import { post } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { composing, nameOf } from "../kernel/keys.js";
import { button } from "../kernel/parts.js";
import { signal } from "../kernel/signals.js";
import { attempt } from "../kernel/toast.js";

/** The composer of a conversation. `messages` tells up to where its reader has seen it. */
export function composer({ id, messages, there }) {
  const note = signal(false);
  // One key for one text: sent again after a network fault it is the same message, changed it is another.
  let key = null;
  const send = async (more = {}) => {
    const text = input.value.trim();
    if (!text) return;
    key ??= crypto.randomUUID();
    const body = { text, private: note.peek(), seen_seq: messages.peek()?.at(-1)?.seq ?? 0, ...more };
    const made = await attempt(post(`/conversations/${id}/messages`, body, { key }));
    if (made === undefined) return;
    key = null;
    input.value = "";
    there.say("viewing");
    messages.update((known) => (known?.some((one) => one.id === made.id) ? known : [...(known ?? []), made]));
  };
  const keydown = (event) => {
    if (composing(event)) return;
    const name = nameOf(event);
    if (name !== "Mod-Enter" && name !== "Mod-Shift-Enter") return;
    event.preventDefault();
    send(name === "Mod-Shift-Enter" ? { status: "resolved" } : {});
  };
  const input = h("textarea", { class: "input", rows: 3, "aria-label": t("composer.text"), placeholder: () => (note.value ? t("composer.note_hint") : t("composer.hint")), on: { keydown, input: () => ((key = null), there.say(note.peek() ? "noting" : "typing")), blur: () => there.say("viewing") } });
  return h(
    "form",
    { class: () => ["composer", note.value && "note"], on: { submit: (event) => event.preventDefault() } },
    input,
    h(
      "div",
      { class: "row spread" },
      button({ icon: "note", text: t("composer.note"), kind: "quiet", "aria-pressed": () => String(note.value), run: () => (note.value = !note.peek()) }),
      h("div", { class: "row" }, button({ text: t("composer.send_and_resolve"), run: () => send({ status: "resolved" }) }), button({ text: t("composer.send"), icon: "send", kind: "primary", run: () => send() })),
    ),
  );
}
