// One message, whoever wrote it: a mail, a line of a chat, a post, a note of ours.

import { href, post } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { brief, list } from "../kernel/format.js";
import { say, t } from "../kernel/i18n.js";
import { avatar, badge, button } from "../kernel/parts.js";
import { menu } from "../kernel/popover.js";
import { computed, signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { attempt, toast } from "../kernel/toast.js";
import { deliveryLine } from "./delivery.js";
import { files } from "./files.js";
import { withLinks } from "./links.js";
import { mailFrame } from "./mail.js";
import { beginning, quotesOf } from "./quotes.js";
import { saidAt } from "./timeline.js";

export const nameOf = ({ name, kind }) => name || say(kind, "author");

/** `row$` is a row of the time line; `of` has what messages share: the conversation, reading one again, the contact's presence. */
export function messageNode(row$, of) {
  const message$ = computed(() => row$.value.message);
  const { id, type, private: note, seq } = message$.peek();
  const unfolded = signal(false);
  const original = signal(onlyLaidOut(message$.peek()));
  const own = type === "outgoing" && !note;
  const cancelled = () => message$.value.delivery?.status === "cancelled";
  return h(
    "article",
    {
      class: () => ["message", own && "own", note && "note", type === "activity" && "activity", row$.value.joined && "joined", cancelled() && "cancelled", message$.value.hidden && "was-hidden", of.marked.value === seq && "marked"],
      data: { seq, id },
      "aria-label": () => t("conversation.message_of", { name: nameOf(message$.value.author), time: brief(saidAt(message$.value)) }),
    },
    heading(message$, of, { original }),
    () => addressed(message$.value),
    () => (message$.value.deleted_at ? h("p", { class: "soft" }, t("conversation.deleted")) : original.value ? mailFrame(message$.peek(), t("conversation.frame", { name: nameOf(message$.peek().author) })) : textOf(message$, { unfolded, original })),
    () => files(message$.value.attachments, { inline: !original.value }),
    () => deliveryLine(message$.value, { again: of.again, presence: of.presence() }),
  );
}

/** A mail without words of its own has nothing to show but its layout. */
const onlyLaidOut = ({ text, new_text: fresh, html }) => Boolean(html) && !(fresh || text).trim();

function heading(message$, of, view) {
  const { author, type, private: note } = message$.peek();
  const name = nameOf(author);
  return h(
    "header",
    { class: "message-head" },
    avatar({ id: author.id ?? name, name, size: 24 }),
    h("strong", { class: "cut" }, name),
    author.kind === "bot" && badge(t("author.bot")),
    note && badge(t("conversation.note"), "note"),
    () => of.channel() && message$.value.channel !== of.channel() && !note && badge(say(message$.value.channel, "channel")),
    () => !note && (message$.value.visibility === "public" ? badge(t("conversation.public")) : of.inPublic() && type !== "activity" && badge(t("conversation.direct"), "good")),
    () => message$.value.hidden && badge(t("conversation.hidden"), "warn"),
    () => trustOf(message$.value),
    () => message$.value.edited_at && h("span", { class: "soft" }, t("conversation.edited")),
    h("span", { class: "grow" }),
    h("time-ago", { class: "soft", brief: true, datetime: () => saidAt(message$.value) }),
    button({ icon: "more", label: t("conversation.message_menu"), kind: "quiet tiny", "aria-haspopup": "menu", run: (event) => menu(event.currentTarget, entries(message$.peek(), of, view)) && undefined }),
  );
}

// Nearly every mail is `not_authenticated` where nobody has set up who vouches: no reason to be alarmed.
const CALM = new Set(["not_authenticated", "no_from"]);

function trustOf({ type, trust }) {
  const reasons = (trust?.reasons ?? []).filter((one) => !CALM.has(one));
  if (trust?.sender_verified === false && !reasons.length) reasons.push("unverified");
  if (type !== "incoming" || !reasons.length) return null;
  const kind = trust.sender_verified === false || reasons.includes("bad_token") ? "bad" : "warn";
  return reasons.map((one) => badge(say(one, "conversation.trust"), kind));
}

function addressed({ channel, to, cc, type }) {
  if (channel !== "email" || type === "activity" || !(to.length + cc.length)) return null;
  const names = (people) => list(people.map((one) => one.name || one.handle));
  const whole = (people) => people.map((one) => (one.name ? `${one.name} <${one.handle}>` : one.handle)).join(", ");
  const part = (people, text) => people.length > 0 && h("span", { class: "cut", title: whole(people) }, text);
  return h("p", { class: "addressed soft" }, part(to, t("conversation.to", { names: names(to) })), part(cc, t("conversation.cc", { names: names(cc) })));
}

const LAID_OUT = /<(?:img|table)\b/i;

function textOf(message$, { unfolded, original }) {
  const { type, private: note } = message$.peek();
  const parts = computed(() => quotesOf(message$.value));
  const whole = signal(false);
  // The longest first, so that "Ann Lee" is not taken for "Ann".
  const names = computed(() => (note ? directory("agents").list.value.map((one) => one.name).sort((one, other) => other.length - one.length) : []));
  const linked = (text) => withLinks(text, { names: names.value, outside: type === "incoming" });
  const body = () => (whole.value ? parts.value.shown : beginning(parts.value.shown));
  return [
    h("div", { class: "message-text", dir: "auto" }, () => linked(body()), () => message$.value.text === "" && !message$.value.attachments.length && h("span", { class: "soft" }, t("conversation.no_text"))),
    () => body().length < parts.value.shown.length && button({ text: t("conversation.whole"), icon: "down", kind: "quiet tiny", run: () => (whole.value = true) && undefined }),
    () => parts.value.rest && button({ icon: "more", label: unfolded.value ? t("conversation.fold_quotes") : t("conversation.unfold_quotes"), kind: "quotes tiny", "aria-expanded": String(unfolded.value), run: () => void (unfolded.value = !unfolded.peek()) }),
    () => LAID_OUT.test(message$.value.html ?? "") && button({ text: t("conversation.as_sent"), icon: "eye", kind: "quiet tiny", run: () => void (original.value = true) }),
    () => unfolded.value && h("div", { class: "message-text quoted", dir: "auto" }, linked(parts.value.rest)),
  ];
}

/** What can be done with a message. */
function entries(message, of, { original }) {
  const { id, type, html, channel, visibility, hidden, external_url: address, private: note } = message;
  const hide = async () => {
    await attempt(post(`/messages/${id}/hide`, { hidden: !hidden }), { done: hidden ? t("conversation.shown_again") : t("conversation.was_hidden") });
    await of.again(id);
  };
  return [
    html && { text: original.peek() ? t("conversation.as_text") : t("conversation.as_sent"), icon: "eye", run: () => (original.value = !original.peek()) },
    { text: t("conversation.copy_text"), icon: "note", run: () => copy(message.new_text || message.text) },
    { text: t("conversation.copy_link"), icon: "link", run: () => copy(`${location.origin}/conversations/${of.id}?message=${message.seq}`) },
    /^https?:/i.test(address) && { text: t("conversation.open_there", { channel: say(channel, "channel") }), icon: "next", run: () => window.open(address, "_blank", "noopener,noreferrer") },
    type === "incoming" && visibility === "public" && !note && of.can("hide") && { text: hidden ? t("conversation.show_again") : t("conversation.hide"), icon: "eye", danger: !hidden, run: hide },
    channel === "email" && type === "incoming" && { text: t("conversation.source"), icon: "download", run: () => download(href(`/messages/${id}/raw`)) },
  ];
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("conversation.copied"), { kind: "done" });
  } catch {
    toast(t("conversation.not_copied"), { kind: "wrong" });
  }
}

function download(address) {
  const link = h("a", { href: address, download: true, data: { native: true } });
  document.body.append(link);
  link.click();
  link.remove();
}
