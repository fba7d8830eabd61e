// How long it may be, where a channel says so: asked of the API, which counts as the channel does.

import { post as ask } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { number } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { computed, effect, signal } from "../kernel/signals.js";
import { abilities, placeOf, visibilityOf } from "./sending.js";

const REST = 350;
const NEAR = 0.8; // of what may be written: before that no number is in the way

/** Above the buttons: how much is used, or into which posts it is cut. Personal data is told of as it is typed. */
export function counter(letter, one) {
  const parts = signal([]);
  effect(() => {
    const place = placeOf(letter, one.value);
    const text = letter.sheets.answer.text.value.trimEnd();
    const can = abilities(place);
    const visibility = visibilityOf(letter, place);
    if (letter.mode.value === "note" || !place || !text || (visibility !== "public" && !(text.length > (can.max_length ?? Infinity) * NEAR))) {
      parts.value = [];
      return undefined;
    }
    const asking = new AbortController();
    const timer = setTimeout(() => look({ inbox_id: place.inbox_id, text, visibility, conversation_id: letter.id }, asking.signal), REST);
    return () => (clearTimeout(timer), asking.abort());
  });
  const look = async (body, ended) => {
    try {
      const found = await ask("/social/preview", body, { signal: ended });
      parts.value = found.parts;
      letter.found.value = found.personal_data.map((data) => ({ ...data, field: "text" }));
    } catch (error) {
      const { used, limit } = error.body?.length ?? {};
      parts.value = limit ? [{ used, limit }] : [];
    }
  };
  const limited = computed(() => parts.value.filter((part) => part.limit));
  const used = (part) => t("composer.used", { used: number(part.used), limit: number(part.limit) });
  const open = signal(false);
  const post = (part) => h("li", {}, h("span", { class: "grow" }, part.text), h("span", { class: "soft" }, used(part)));
  const posts = () => h("details", { open: open.peek(), on: { toggle: (event) => (open.value = event.target.open) } }, h("summary", {}, t("composer.posts", { n: limited.value.length })), h("ol", { tabindex: "0" }, limited.value.map(post)));
  const words = () => (limited.value.length > 1 ? posts() : limited.value.map(used));
  return h("div", { class: () => ["composer-count", limited.value.some((part) => part.used > part.limit) && "over"], role: "status" }, words);
}
