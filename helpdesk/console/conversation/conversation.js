// One conversation: its heading, and all that was said, over all channels.

import { every, href } from "../kernel/api.js";
import { each, h } from "../kernel/dom.js";
import { day } from "../kernel/format.js";
import { say, t } from "../kernel/i18n.js";
import { avatar, badge, button, skeleton } from "../kernel/parts.js";
import { attend } from "../kernel/presence.js";
import { go, here, loadArea, setTitle } from "../kernel/router.js";
import { computed, effect, measure, onCleanup, signal } from "../kernel/signals.js";
import { detail } from "../kernel/store.js";
import { onTouched } from "../kernel/stream.js";
import { attempt } from "../kernel/toast.js";

export function view(id) {
  const one = detail(id);
  const messages = signal(null);
  const there = attend(id);
  effect(() => {
    if (one.value) setTitle(`#${one.value.number} ${one.value.subject}`);
  });

  const read = async () => {
    const known = messages.peek() ?? [];
    const after = known.at(-1)?.seq;
    const fresh = await every(`/conversations/${id}/messages`, { after_seq: after });
    const ids = new Set(known.map((message) => message.id));
    messages.value = [...known, ...fresh.filter((message) => !ids.has(message.id))];
  };
  attempt(read());
  onCleanup(onTouched(({ ids }) => ids.has(id) && read().catch(() => {})));

  const others = computed(() => there.others.value.map((other) => other.agent.name));
  const body = h("div", { class: "pane-body conversation-line", tabindex: "0", role: "log", "aria-label": t("conversation.messages") });
  body.append(h("div", {}, () => (messages.value ? null : skeleton(4)), each(() => messages.value ?? [], (message) => message.id, said)));
  effect(() => {
    messages.value?.length;
    measure(() => (body.scrollTop = body.scrollHeight));
  });
  const composer = h("div", { class: "conversation-composer" });
  loadArea("composer").then((module) => composer.append(module.composer({ id, one, messages, there })), () => {});
  return h(
    "section",
    { class: "pane conversation", "aria-label": t("conversation.title") },
    h(
      "header",
      { class: "pane-head" },
      button({ icon: "back", label: t("conversation.back"), kind: "quiet phone-only", run: () => go(`/inbox/${here.peek().params.view ?? "open"}`) }),
      h("h1", { class: "cut", tabindex: "-1", data: { focus: true } }, () => (one.value ? one.value.subject || t("conversation.no_subject") : "")),
      () => one.value && badge(say(one.value.status, "status")),
      () => others.value.length > 0 && h("span", { class: "soft cut", role: "status" }, t("conversation.others", { names: others.value.join(", ") })),
    ),
    body,
    composer,
  );
}

function said(message$) {
  const { type, private: note, author, created_at: at } = message$.peek();
  const own = type === "outgoing";
  return h(
    "article",
    { class: () => ["message", own && "own", note && "note", type === "activity" && "activity"] },
    h("header", { class: "row" }, avatar({ id: author.id, name: author.name || say(author.kind, "author"), size: 24 }), h("strong", {}, author.name || say(author.kind, "author")), note && badge(t("conversation.note"), "note"), h("span", { class: "soft" }, day(at)), h("time-ago", { class: "soft", brief: true, datetime: at })),
    h("div", { class: "message-text" }, () => message$.value.new_text || message$.value.text),
    () => message$.value.attachments.filter((file) => !file.inline).map((file) => h("a", { class: "chip", href: href(`/attachments/${file.id}`), download: file.filename }, file.filename)),
    () => message$.value.delivery && message$.value.delivery.status !== "sent" && badge(say(message$.value.delivery.status, "delivery"), message$.value.delivery.status === "failed" ? "bad" : ""),
  );
}
