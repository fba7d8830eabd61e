// A mail as its sender laid it out: a page of its own in a frame that may run nothing and is of no origin. So nobody can ask how
// high it is; its text in the same width tells about, and the reader may have it higher.

import { href } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { button } from "../kernel/parts.js";
import { measure, signal } from "../kernel/signals.js";
import { quotesOf } from "./quotes.js";

const LEAST = 120;
const MOST = 4000;
const LINE = 20;
const LETTER = 7; // the mean width of one, of those that are not as wide as high
const TALL = 24; // for each row of a table and each picture

/** About how high a mail is in this width, in pixels. What it quotes is folded there, and a line. */
export function heightOf(message, width) {
  const letters = Math.max(20, width / LETTER);
  const { shown, rest } = quotesOf(message);
  const lines = shown.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil((line.length + (line.match(/[\u2e80-\uffff]/g)?.length ?? 0)) / letters)), rest ? 2 : 0);
  const tall = (String(message.html ?? "").match(/<(?:img|tr)\b/gi) ?? []).length;
  // Pictures and tables are as likely in what is folded as elsewhere.
  const share = rest ? shown.length / (shown.length + rest.length) : 1;
  return Math.max(LEAST, Math.round(32 + lines * LINE + tall * TALL * share));
}

/** The frame with what makes it higher. `title` names it to those who do not see it. */
export function mailFrame(message, title) {
  const height = signal(LEAST);
  const whole = signal(LEAST);
  const frame = h("iframe", {
    class: "mail-frame",
    sandbox: "allow-popups",
    referrerpolicy: "no-referrer",
    loading: "lazy",
    title,
    style: { height: () => `${height.value}px` },
    src: href(`/messages/${message.id}/html`),
  });
  measure(() => {
    whole.value = Math.min(MOST, heightOf(message, frame.clientWidth || 600));
    height.value = Math.min(whole.value, Math.round(innerHeight * 0.7));
  });
  const higher = () => {
    height.value = Math.min(MOST, Math.max(whole.peek(), height.peek() * 2));
  };
  return h(
    "div",
    { class: "mail" },
    frame,
    h("div", { class: "message-text mail-paper", dir: "auto" }, message.new_text || message.text), // on paper, where no frame can be scrolled
    h(
      "div",
      { class: "row mail-tools" },
      () => height.value < MOST && button({ text: t("conversation.higher"), icon: "down", kind: "quiet tiny", run: higher }),
      h("a", { class: "button quiet tiny", href: href(`/messages/${message.id}/html`), target: "_blank", rel: "noopener noreferrer", data: { native: true } }, icon("link", { size: 16 }), h("span", {}, t("conversation.alone"))),
    ),
  );
}
