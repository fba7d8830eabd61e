// What somebody who writes has to know, directly above what he writes.

import { explain, Problem } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { list, number } from "../kernel/format.js";
import { say, t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { button } from "../kernel/parts.js";
import { computed } from "../kernel/signals.js";
import { changed, sheetOf } from "./letter.js";
import { settle } from "./letters.js";
import { insert } from "./suggest.js";
import { abilities, isOver, matters, placeOf, sawThem, send, visibilityOf } from "./sending.js";

const MOST = 3;

const notice = ({ kind = "", icon: name = "alert", urgent = false }, text, ...actions) =>
  h("div", { class: ["composer-notice", kind], role: urgent ? "alert" : "status" }, icon(name, { size: 16 }), h("div", { class: "grow" }, text), h("div", { class: "row" }, actions));

/** All that is to be told just now. `how` is what sending needs: `one` and `messages`; `there` tells who else is here. */
export function notices(letter, how, there, input) {
  return h("div", { class: "composer-notices" }, colleagues(there), news(letter, how), conflict(letter), waiting(letter, how), over(letter, how), trouble(letter), found(letter, how, input));
}

function colleagues(there) {
  const writing = computed(() => there.others.value.filter((one) => one.state === "typing").map((one) => one.agent.name).join("\n"));
  return () => writing.value && notice({ kind: "warn", icon: "edit" }, t("composer.also_writing", { names: list(writing.value.split("\n")) }));
}

/** What came in while one wrote: seen as it comes, or told by the API where that was a moment earlier. */
function news(letter, how) {
  const came = computed(() => {
    if (letter.moved.value) return letter.moved.value.messages;
    const base = letter.base.value;
    // In a chat both write at once, and each line is seen as it comes.
    const live = abilities(placeOf(letter, how.one.value)).live;
    return live || base === null || letter.mode.value === "note" ? [] : (how.messages.value ?? []).filter((one) => one.seq > base && matters(one));
  });
  const key = computed(() => `${Boolean(letter.moved.value)}${came.value.map((one) => one.id)}`);
  return () => {
    if (!key.value || !came.peek().length) return null;
    const all = came.peek();
    const refused = Boolean(letter.moved.peek());
    const all$ = h("div", {}, h("strong", {}, t("composer.came", { n: all.length })), h("ul", { class: "composer-came" }, all.slice(-MOST).map(line)));
    const { status } = letter.moved.peek() ?? {};
    const anyway = refused && button({ text: t("composer.send_anyway"), kind: "primary", run: () => (sawThem(letter, how.messages), send(letter, how, status)) });
    return notice({ kind: "warn", icon: "mail", urgent: refused }, all$, button({ text: t("composer.saw"), kind: "quiet", run: () => sawThem(letter, how.messages) }), anyway);
  };
}

const line = ({ author, new_text: fresh, text }) => h("li", { class: "cut" }, h("strong", {}, author.name || say(author.kind, "author")), " ", h("span", { class: "soft" }, (fresh || text).slice(0, 200)));

/** Another window or device has kept something else meanwhile. */
function conflict(letter) {
  return () => {
    const draft = letter.conflict.value;
    if (!draft) return null;
    const words = h("div", {}, h("strong", {}, t("composer.conflict")), h("p", { class: "composer-other" }, draft.content.text));
    const take = (how, text) => button({ text, kind: "quiet", run: () => settle(letter, how) });
    return notice({ kind: "warn", icon: "note" }, words, take("theirs", t("composer.take_theirs")), take("both", t("composer.take_both")), take("ours", t("composer.take_ours")));
  };
}

function waiting(letter, how) {
  return () => {
    const found = letter.waiting.value;
    const stop = () => (letter.waiting.value = null);
    if (found) return notice({ kind: "warn", icon: "offline", urgent: true }, t("composer.waits"), button({ text: t("composer.do_not_send"), kind: "quiet", run: stop }), button({ text: t("shell.again"), run: () => send(letter, how, found.status) }));
    // The page ended while it was on its way. Sent under its old key, it is there once whatever became of it then.
    const left = letter.leftOver.value && !letter.going.value;
    return left && notice({ kind: "warn", icon: "send" }, t("composer.left_over"));
  };
}

/** The channel takes no such answer any more: what can be done instead. */
function over(letter, how) {
  const place = computed(() => placeOf(letter, how.one.value));
  const gone = computed(() => letter.mode.value === "answer" && isOver(letter, place.value));
  const publicly = () => ((letter.visibility.value = "public"), changed(letter));
  return () => {
    if (!gone.value) return null;
    if (!place.value.visibilities.includes("public")) return notice({ kind: "warn", icon: "clock" }, t("composer.over"));
    return notice({ kind: "warn", icon: "clock" }, t("composer.over_directly"), button({ text: t("composer.publicly"), run: publicly }));
  };
}

function trouble(letter) {
  return () => {
    const error = letter.trouble.value;
    if (!error) return null;
    return notice({ kind: "bad", urgent: true }, wordsFor(error));
  };
}

function wordsFor(error) {
  if (!(error instanceof Problem)) return explain(error);
  if (error.slug === "text_too_long") {
    const { used, limit } = error.body.length ?? {};
    return t("composer.too_long", { used: number(used ?? 0), limit: number(limit ?? 0) });
  }
  const { field = "" } = error.errors[0] ?? {};
  if (field.startsWith("mentions")) return t("composer.cannot_see");
  if (field === "to" || field.startsWith("to.") || field.startsWith("cc")) return t("composer.wrong_people");
  if (field.startsWith("attachment_ids")) return t("composer.wrong_files");
  return explain(error);
}

/** Where a part of a text is, in the units of the field: the API counts characters, the browser halves of some. */
export const span = (text, { start, end }) => {
  const letters = [...text];
  return [letters.slice(0, start).join("").length, letters.slice(0, end).join("").length];
};

/** Personal data in what everybody would read: each part by name; a click marks it in the text. */
function found(letter, how, input) {
  return () => {
    const all = letter.found.value;
    if (!all.length) return null;
    const { text } = sheetOf(letter);
    const place = placeOf(letter, how.one.peek());
    const inText = all.filter((one) => one.field === "text");
    const part = (one) => {
      const [from, to] = span(text.peek(), one);
      const mark = () => (input.focus(), input.setSelectionRange(from, to));
      return h("li", {}, say(one.kind, "personal"), " ", h("button", { type: "button", class: "composer-found", title: t("composer.show_it"), on: { click: mark } }, text.peek().slice(from, to)));
    };
    const takeOut = () => {
      for (const one of inText.toSorted((a, b) => b.start - a.start)) insert(input, "…", ...span(text.peek(), one));
    };
    const direct = place?.visibilities.includes("direct") && visibilityOf(letter, place) === "public";
    const privately = () => ((letter.visibility.value = "direct"), changed(letter));
    const words = h("div", {}, h("strong", {}, t("composer.personal")), inText.length ? h("ul", { class: "composer-came" }, inText.map(part)) : h("p", {}, t("composer.personal_files")));
    return notice({ kind: "bad", icon: "shield", urgent: true }, words, inText.length > 0 && button({ text: t("composer.take_out"), run: takeOut }), direct && button({ text: t("composer.send_directly"), kind: "primary", run: privately }));
  };
}
