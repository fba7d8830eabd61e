// The heading of a conversation: what it is about, how it stands, and what can be done with it in one step.

import { del, put as send } from "../kernel/api.js";
import { command } from "../kernel/commands.js";
import { dialog, drawer } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { dateTime } from "../kernel/format.js";
import { textField } from "../kernel/form.js";
import { say, t, tn } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { avatar, button } from "../kernel/parts.js";
import { menu } from "../kernel/popover.js";
import { go, here, loadArea } from "../kernel/router.js";
import { signal } from "../kernel/signals.js";
import { put, refresh } from "../kernel/store.js";
import { attempt, toast } from "../kernel/toast.js";
import { change } from "./changes.js";
import { pickAssignee, pickSnooze, pickTags, pickTeam } from "./pick.js";

const PRIORITIES = ["urgent", "high", "normal", "low"];

/** `one` is the detail's signal, `there` who else is here, `messages` what is shown below. */
export function heading({ id, one, there, messages }) {
  const of = (read) => () => (one.value ? read(one.value) : "");
  const title = h("h1", { class: "conversation-subject", tabindex: "-1", data: { focus: true } }, h("bdi", {}, of((now) => now.subject || t("conversation.no_subject"))), " ", h("span", { class: "soft" }, of((now) => `#${now.number}`)));
  return h(
    "header",
    { class: "conversation-head" },
    h(
      "div",
      { class: "row" },
      button({ icon: "back", label: t("conversation.back"), kind: "quiet phone-only", run: () => void leave() }),
      title,
      company(there),
      () => one.value && settle(id, one.value),
      button({ icon: "more", label: t("conversation.menu"), kind: "quiet", "aria-haspopup": "menu", run: (event) => more(event.currentTarget, id, one, messages) }),
    ),
    h("div", { class: "row wrap conversation-state sideways" }, () => one.value && states(id, one)),
    () => one.value && banners(one.value),
  );
}

function leave() {
  const { params, query } = here.peek();
  const kept = new URLSearchParams(query);
  kept.delete("message");
  go(`/inbox/${params.view ?? "open"}${kept.size ? `?${kept}` : ""}`);
}

/** Colleagues who are here, and what they do. */
function company(there) {
  const words = (other) => (other.state === "typing" ? t("conversation.writes", { name: other.agent.name }) : other.state === "noting" ? t("conversation.notes", { name: other.agent.name }) : t("conversation.looks", { name: other.agent.name }));
  return h("span", { class: "company", role: "status" }, () =>
    there.others.value.map((other) => h("span", { class: ["companion", other.state !== "viewing" && "busy"], title: words(other) }, avatar({ id: other.agent.id, name: other.agent.name, size: 24 }), h("span", { class: () => (other.state === "viewing" ? "hidden-text" : "soft") }, words(other)))),
  );
}

const OVER = new Set(["resolved", "closed"]);

function settle(id, now) {
  if (now.merged_into_id || now.status === "closed" || now.spam) return null;
  if (OVER.has(now.status)) return button({ text: t("conversation.reopen"), icon: "refresh", kind: "settle", run: () => change(id, { status: "open" }, { done: t("conversation.reopened") }) });
  return button({ text: t("conversation.resolve"), icon: "check", kind: "settle", run: () => change(id, { status: "resolved" }, { done: t("conversation.resolved") }) });
}

/** Small buttons that say how it stands and change it. */
function states(id, one) {
  const now = one.value;
  const fixed = now.status === "closed" || Boolean(now.merged_into_id);
  const control = (label, text, mark, run, kind = "") =>
    h("button", { type: "button", class: ["state", kind], title: label, "aria-label": `${label}: ${text}`, "aria-haspopup": "true", disabled: fixed, on: { click: (event) => run(event.currentTarget) } }, mark && icon(mark, { size: 16 }), h("span", { class: "cut" }, text));
  return [
    control(t("conversation.field.status"), say(now.status, "status"), null, (beside) => statusMenu(beside, id, now), `status-${now.status}`),
    control(t("conversation.field.assignee_id"), now.assignee?.name ?? t("conversation.nobody"), "person", (beside) => assign(beside, id)),
    control(t("conversation.field.team_id"), now.team?.name ?? t("conversation.no_team"), "people", (beside) => void pickTeam(beside, (team_id) => change(id, { team_id }))),
    control(t("conversation.field.priority"), say(now.priority, "priority"), "flag", (beside) => priorityMenu(beside, id, now), `priority-${now.priority}`),
    control(t("conversation.field.tags"), now.tags.length ? now.tags.join(", ") : t("conversation.tags_none"), "tag", (beside) => retag(beside, id, one), "tags"),
  ];
}

const assign = (beside, id) => void pickAssignee(beside, (assignee_id, name) => change(id, { assignee_id }, { done: assignee_id ? t("conversation.assigned_to", { name }) : t("conversation.unassigned") }));
const retag = (beside, id, one) => void pickTags(beside, one.peek().tags, (tags) => change(id, { tags }));

function priorityMenu(beside, id, now) {
  return void menu(beside, PRIORITIES.map((priority) => ({ text: say(priority, "priority"), checked: now.priority === priority, run: () => change(id, { priority }) })));
}

function statusMenu(beside, id, now) {
  const entry = (status, done) => ({ text: say(status, "status"), checked: now.status === status, run: () => now.status !== status && change(id, { status }, { done }) });
  return void menu(beside, [
    entry("open", t("conversation.reopened")),
    entry("pending", t("conversation.now_status", { status: say("pending", "status") })),
    { text: t("conversation.snooze_menu"), icon: "snooze", run: () => snooze(beside, id) },
    entry("resolved", t("conversation.resolved")),
  ]);
}

const snooze = (beside, id) =>
  void pickSnooze(beside, (until) => change(id, { status: "snoozed", snoozed_until: until }, { done: t("conversation.snoozed_until", { time: dateTime(until) }) }));

/** What everybody should know before he answers here. */
function banners(now) {
  const found = [
    now.merged_into_id && ["note", h("span", {}, tn("conversation.is_merged", { link: h("a", { href: `/conversations/${now.merged_into_id}` }, t("conversation.the_other")) }))],
    now.spam && ["warn", t("conversation.is_spam_hint")],
    now.quarantined && ["warn", t("conversation.is_quarantined")],
    now.status === "snoozed" && now.snoozed_until && ["note", t("conversation.snoozed_until", { time: dateTime(now.snoozed_until) })],
    now.status === "closed" && ["note", t("conversation.is_closed")],
  ];
  return found.filter(Boolean).map(([kind, text]) => h("p", { class: ["banner", kind] }, icon(kind === "warn" ? "alert" : "link", { size: 16 }), h("span", {}, text)));
}

/** The menu of the rest: ours, and what the actions' own dialogs do. */
async function more(beside, id, one, messages) {
  const now = one.peek() ?? (await refresh(id).catch(() => null));
  if (!now) return;
  const actions = await loadArea("actions").then((module) => module.entries(now, { messages }), () => []);
  menu(beside, [
    matchMedia(NARROW).matches && { text: t("conversation.details"), icon: "person", run: () => details(id) },
    { text: t("conversation.mark_unread"), icon: "mail", keys: "u", run: () => markUnread(id, now) },
    { text: t("conversation.rename"), icon: "edit", run: () => rename(id, now), disabled: now.status === "closed" },
    { text: t("conversation.print"), icon: "note", run: () => print() },
    actions.length > 0 && "-",
    ...actions,
  ]);
}

const NARROW = "(max-width: 1240px)"; // where no pane stands beside the conversation

/** The pane of who writes and what was promised, over the conversation; it goes when one follows a link out of it. */
async function details(id) {
  const { view } = await loadArea("beside");
  const follows = (event) => event.target.closest("a[href]:not([target])");
  await drawer({ title: t("conversation.details"), body: (close) => h("div", { on: { click: (event) => follows(event) && close() } }, view(id, { always: true })) });
}

async function markUnread(id, now) {
  const done = await attempt(del(`/conversations/${id}/read`));
  if (done === undefined) return;
  put({ ...now, unread: true });
  toast(t("conversation.is_unread"), { kind: "done", action: { text: t("shell.undo"), run: async () => (await attempt(send(`/conversations/${id}/read`, {})), put({ ...now, unread: false })) } });
}

async function rename(id, now) {
  const subject = signal(now.subject);
  const chosen = await dialog({
    title: t("conversation.rename"),
    body: () => textField({ label: t("conversation.field.subject"), value: subject, autofocus: true }),
    actions: (close) => [button({ text: t("shell.cancel"), run: () => close() }), button({ text: t("conversation.save"), kind: "primary", disabled: () => !subject.value.trim(), run: () => close(subject.peek().trim()) })],
  });
  if (chosen && chosen !== now.subject) await change(id, { subject: chosen });
}

/** The shortcuts that are the conversation's own; those of the list work on the open one as well. */
export function commands({ id, one, root }) {
  const group = t("conversation.title");
  const when = () => Boolean(one.peek());
  const beside = (kind) => root.querySelector(kind);
  command({ id: "mark-unread", keys: "u", text: t("conversation.mark_unread"), group, when, run: () => markUnread(id, one.peek()) });
  command({ id: "priority", keys: "p", text: t("conversation.field.priority"), group, when, run: () => beside("[class*=priority-]")?.click() });
  command({ id: "tags", keys: "l", text: t("conversation.field.tags"), group, when, run: () => beside(".state.tags")?.click() });
}
