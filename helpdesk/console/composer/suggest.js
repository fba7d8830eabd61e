// What is offered while one writes: quick replies after a slash, colleagues after an @.

import { get } from "../kernel/api.js";
import { each, h } from "../kernel/dom.js";
import { compare } from "../kernel/format.js";
import { language, t } from "../kernel/i18n.js";
import { composing } from "../kernel/keys.js";
import { avatar } from "../kernel/parts.js";
import { me } from "../kernel/session.js";
import { signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { attempt, toast } from "../kernel/toast.js";

const MOST = 8;
// A Chinese keyboard writes 、 by the key of the slash.
const SLASH = /(?:^|\s)([/／、]([\p{L}\p{N}_-]{0,40}))$/u;
const NAME = /(?:^|[^\w.+-])([@＠]([\p{L}\p{N}._-]*(?: [\p{L}\p{N}._-]+)?))$/u;

/** Which words stand before the caret that something can be offered for, and from where. */
export function asksFor(before, note) {
  const name = note && NAME.exec(before);
  if (name) return { kind: "name", word: name[2].toLowerCase(), from: before.length - name[1].length };
  const slash = SLASH.exec(before);
  return slash && { kind: "reply", word: slash[2].toLowerCase(), from: before.length - slash[1].length };
}

const score = (word, ...texts) => {
  const places = texts.map((text) => text.toLowerCase().indexOf(word)).filter((at) => at >= 0);
  return places.length ? Math.min(...places) : -1;
};

function offers({ kind, word }) {
  const ranked = (list, texts) =>
    list
      .map((one) => [score(word, ...texts(one)), one])
      .filter(([at]) => at >= 0)
      .sort(([a, one], [b, other]) => a - b || compare(texts(one)[0], texts(other)[0]))
      .map(([, one]) => one);
  if (kind === "reply") return ranked(directory("canned-responses").list.value, (one) => [one.shortcut, one.title]).slice(0, MOST);
  const people = directory("agents").list.value.filter((one) => one.active !== false && one.id !== me.peek().id);
  return ranked(people, (one) => [one.name]).slice(0, MOST);
}

/** Put a text in the place of another, so that the browser can undo it. */
export function insert(input, text, from = input.selectionStart, to = input.selectionEnd) {
  input.focus({ preventScroll: true });
  input.setSelectionRange(from, to);
  // Old, but nothing else leaves the field's own undo whole.
  if (document.execCommand(text ? "insertText" : "delete", false, text)) return;
  input.setRangeText(text, from, to, "end");
  input.dispatchEvent(new InputEvent("input", { bubbles: true }));
}

async function takeReply(input, letter, one, from) {
  const to = input.selectionStart;
  const found = await attempt(get(`/canned-responses/${one.id}/render`, { conversation_id: letter.id }));
  if (!found) return;
  insert(input, found.text, from, to);
  if (found.missing.length) toast(t("composer.reply_missing", { names: found.missing.join(", ") }), { kind: "info", seconds: 10 });
}

/** The list over the field. `keydown(event)` answers whether it has used up the key; `look()` reads the text before the caret. */
export function suggestions(letter) {
  const asked = signal(null);
  const at = signal(0);
  const items = () => (asked.value ? offers(asked.value) : []);
  let input = null;
  const close = () => (asked.value = null);
  const look = () => {
    const found = input.selectionStart === input.selectionEnd && asksFor(input.value.slice(0, input.selectionStart), letter.mode.peek() === "note");
    if (found?.word !== asked.peek()?.word || found?.kind !== asked.peek()?.kind) at.value = 0;
    asked.value = found || null;
  };
  const take = (one) => {
    const { kind, from } = asked.peek();
    close();
    if (kind === "name") insert(input, `@${one.name} `, from, input.selectionStart);
    else takeReply(input, letter, one, from);
  };
  const keydown = (event) => {
    const found = items();
    if (!found.length || composing(event)) return false;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) at.value = (at.peek() + by + found.length) % found.length;
    else if ((event.key === "Enter" || event.key === "Tab") && !event.ctrlKey && !event.metaKey && !event.shiftKey) take(found[at.peek()]);
    else if (event.key === "Escape") close();
    else return false;
    event.preventDefault();
    return true;
  };
  const node = listOf({ asked, at, items, take });
  const attach = (given) => {
    input = given;
    input.addEventListener("input", look);
    input.addEventListener("click", look);
    input.addEventListener("blur", close);
  };
  return { node, keydown, attach, active: () => (items().length ? `composer-offer-${at.value}` : null) };
}

function listOf({ asked, at, items, take }) {
  const label = () => (asked.value?.kind === "name" ? t("composer.colleagues") : t("composer.replies"));
  return h(
    "div",
    { class: "composer-offers options", id: "composer-offers", role: "listbox", "aria-label": label, hidden: () => !items().length, on: { pointerdown: (event) => event.preventDefault() } },
    each(items, (one) => one.id, (one$, index$) =>
      h(
        "div",
        { role: "option", id: () => `composer-offer-${index$.value}`, "aria-selected": () => String(index$.value === at.value), on: { click: () => take(one$.peek()) } },
        () => offer(one$.value),
      ),
    ),
  );
}

function offer(one) {
  if (!one.shortcut) return [avatar({ id: one.id, name: one.name, size: 24 }), h("span", { class: "cut" }, one.name)];
  const text = one.texts[language] ?? Object.values(one.texts)[0] ?? "";
  return [h("kbd", {}, `/${one.shortcut}`), h("span", { class: "composer-offer-title" }, one.title), h("span", { class: "soft cut grow" }, text.split("\n", 1)[0])];
}
