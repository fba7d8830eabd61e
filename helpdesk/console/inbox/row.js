// One row of the list. It follows its conversation by itself: what changes is what is written anew, and nothing else.

import { h, when } from "../kernel/dom.js";
import { now } from "../kernel/format.js";
import { say, t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { avatar, badge } from "../kernel/parts.js";
import { computed } from "../kernel/signals.js";
import { conversation } from "../kernel/store.js";

const CHANNELS = { email: "mail", chat: "chat", telegram: "send" };
const LOUD = ["high", "urgent"];

/** How the promise stands at a time by the server's clock: the word of the answer grows old. */
export function slaOf(one, at) {
  if (!one.next_due_at) return one.sla_state;
  if (at > Date.parse(one.next_due_at)) return "breached";
  return one.due_soon_at && at >= Date.parse(one.due_soon_at) ? "due_soon" : "ok";
}

const nameOf = (contact) => contact.name || contact.handle;

/** `tick` changes now and then, so that what is due turns its colour by itself. `plain` are the states that go without saying. */
export function row(id, { tick, plain, others }) {
  let last = null; // a conversation that goes out of sight is shown until its row is gone
  const one = computed(() => (last = conversation(id).value ?? last));
  const of = (read) => {
    const found = computed(() => read(one.value));
    return () => found.value;
  };
  const name = of((it) => nameOf(it.contact));
  const sla = of((it) => (tick.value, slaOf(it, now())));
  const loud = of((it) => LOUD.includes(it.priority));
  const status = of((it) => (plain().includes(it.status) ? "" : it.status));
  const who = of((it) => it.assignee?.name ?? "");
  const here = computed(() => others(id));
  const due = () => h("span", { class: () => ["badge", sla() === "breached" ? "bad" : "warn"], title: of((it) => dueText(it)) }, icon("clock", { size: 14 }), h("time-left", { datetime: of((it) => it.next_due_at) }));
  return h(
    "div",
    { class: () => ["inbox-row", of((it) => it.unread)() && "unread"] },
    h(
      "span",
      { class: "inbox-face", data: { select: true } },
      () => avatar({ id: last?.contact.id, name: name(), size: 32 }),
      h("span", { class: "inbox-pick", "aria-hidden": "true" }, icon("check", { size: 14 })),
    ),
    h(
      "div",
      { class: "inbox-lines" },
      h("div", { class: "row" }, h("strong", { class: "grow cut" }, name), when(() => here.value, () => h("span", { class: "inbox-here cut", title: () => here.value }, icon("eye", { size: 14 }), () => here.value)), h("time-ago", { brief: true, datetime: of((it) => it.last_activity_at) })),
      h(
        "div",
        { class: "row inbox-subject" },
        when(of((it) => it.unread), () => h("span", { class: "inbox-dot" }, h("span", { class: "hidden-text" }, t("inbox.is_unread")))),
        h("span", { class: "grow cut" }, of((it) => it.subject || t("inbox.no_subject"))),
        () => who() && avatar({ id: one.peek().assignee.id, name: who(), size: 18, label: t("inbox.assigned_to", { name: who() }) }),
      ),
      h(
        "div",
        { class: "row inbox-third" },
        h("span", { class: "inbox-channel", title: of((it) => say(it.channel, "channel")) }, icon(CHANNELS[last?.channel] ?? "people", { size: 14 })),
        h("span", { class: "grow cut soft" }, of((it) => previewOf(it))),
        when(loud, () => badge(of((it) => say(it.priority, "priority")), () => (one.value.priority === "urgent" ? "bad" : "warn"))),
        () => status() && badge(say(status(), "status")),
        when(() => sla() === "due_soon" || sla() === "breached", due),
      ),
    ),
  );
}

const dueText = (it) => (it.due_kind ? say(it.due_kind, "inbox.due_kind") : "");
const previewOf = (it) => (it.last_message_direction === "outgoing" ? t("inbox.answered", { text: it.preview }) : it.preview);
