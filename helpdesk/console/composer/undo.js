// Taking back a mail before it leaves: offered at the edge of the screen, over whatever is shown by then.

import { post } from "../kernel/api.js";
import { command } from "../kernel/commands.js";
import { detached, h } from "../kernel/dom.js";
import { now } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { go, here } from "../kernel/router.js";
import { refresh } from "../kernel/store.js";
import { attempt, toast } from "../kernel/toast.js";
import { giveBack } from "./letter.js";
import { letterOf, lookAgain, settle } from "./letters.js";

const EARLY = 1; // seconds before it leaves the offer ends, so that it is not made in vain

/** Offer to take a message back until it leaves. */
export function offerUndo(id, message, { body, files, status }) {
  const seconds = (Date.parse(message.delivery.next_attempt_at) - now()) / 1000 - EARLY;
  if (seconds < 1) return;
  const run = () => (end(), undo(id, message, body, files));
  const words = h("span", {}, status === "resolved" ? t("composer.sent_resolved") : t("composer.sent"), " ", h("time-left", { class: "soft", "aria-hidden": "true", datetime: message.delivery.next_attempt_at }));
  const close = toast(words, { kind: "done", seconds, action: { text: t("composer.take_back"), run } });
  const { dispose } = detached(() => command({ id: "undo-send", keys: "z", text: t("composer.take_back"), group: t("composer.group"), run }));
  const timer = setTimeout(dispose, seconds * 1000);
  const end = () => (clearTimeout(timer), dispose(), close());
}

/** Take it back: the text, the files and the status are as they were before. */
async function undo(id, message, body, files) {
  if ((await attempt(post(`/messages/${message.id}/cancel`), { done: t("composer.taken_back") })) === undefined) return;
  const letter = letterOf(id);
  await letter.ready;
  await lookAgain(id).catch(() => {});
  if (letter.conflict.peek()?.content.text === body.text) settle(letter, "both");
  const { text } = letter.sheets.answer;
  if (!text.peek().includes(body.text)) giveBack(letter, body, files);
  letter.mode.value = "answer";
  refresh(id).catch(() => {});
  if (here.peek().params.id !== id) go(`/conversations/${id}`);
}
