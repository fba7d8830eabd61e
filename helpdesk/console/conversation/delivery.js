// What became of an answer on its way: waiting, sent, read, or not sent and what can be done about it.

import { post } from "../kernel/api.js";
import { ask } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { dateTime, now } from "../kernel/format.js";
import { has, say, t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { button } from "../kernel/parts.js";
import { attempt } from "../kernel/toast.js";

/** One line below an outgoing message; null where there is nothing to say. */
export function deliveryLine(message, { again, presence }) {
  const { delivery } = message;
  if (!delivery) return null;
  const kind = { failed: "bad", uncertain: "warn", queued: "soft", sending: "soft", sent: "soft", cancelled: "soft" }[delivery.status] ?? "soft";
  return h("footer", { class: ["delivery", kind] }, words(message, presence), actions(message, again));
}

function words(message, presence) {
  const { status, error, attempts, next_attempt_at: next, delivered_at: delivered, read_at: read } = message.delivery;
  if (status === "sent" && error) return [icon("alert", { size: 16 }), h("span", {}, reason(error))];
  if (status === "sent") {
    const seen = read ?? (presence && presence.read_seq >= message.seq ? presence.last_seen_at : null);
    const was = seen || (presence && presence.read_seq >= message.seq);
    const at = seen ?? delivered ?? message.sent_at;
    return [icon("check", { size: 16 }), h("span", { title: at ? dateTime(at) : null }, was ? t("conversation.read_by_contact") : say("sent", "delivery"))];
  }
  if (status === "queued" && !attempts && next && Date.parse(next) > now()) return [icon("clock", { size: 16 }), h("span", {}, t("conversation.leaves_in")), h("time-left", { datetime: next })];
  if (status === "queued" && error) return [icon("clock", { size: 16 }), h("span", {}, t("conversation.tried_again", { why: reason(error) })), next && h("time-left", { datetime: next })];
  if (status === "failed" || status === "uncertain") return [icon("alert", { size: 16 }), h("strong", {}, say(status, "delivery")), h("span", {}, reason(status === "uncertain" ? "uncertain" : error))];
  return [icon(status === "cancelled" ? "close" : "clock", { size: 16 }), h("span", {}, say(status, "delivery"))];
}

/** What the channel said, in words: what happened and what to do. */
function reason(error) {
  const key = `conversation.trouble.${error}`;
  return error && has(key) ? say(error, "conversation.trouble") : t("conversation.trouble.other");
}

function actions({ id, delivery }, again) {
  const { status, attempts, next_attempt_at: next } = delivery;
  const waits = status === "queued" && !attempts;
  const send = async () => {
    if (status === "uncertain" && !(await ask({ title: t("conversation.send_again"), text: t("conversation.send_again_hint"), confirm: t("conversation.send_again") }))) return;
    await attempt(post(`/messages/${id}/retry`));
    await again(id);
  };
  const cancel = async () => {
    await attempt(post(`/messages/${id}/cancel`), { done: t("conversation.taken_back") });
    await again(id);
  };
  return [
    waits && button({ text: t("conversation.take_back"), kind: "quiet tiny", run: cancel }),
    (status === "failed" || (status === "uncertain" && !next)) && button({ text: t("conversation.send_again"), icon: "refresh", kind: "tiny", run: send }),
  ];
}
