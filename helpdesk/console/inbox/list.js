// The list of conversations: it follows the address, and what happens, without moving under the reader's eyes.

import { get } from "../kernel/api.js";
import { command } from "../kernel/commands.js";
import { h } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { virtualList } from "../kernel/list.js";
import { avatar, badge, button, empty, skeleton } from "../kernel/parts.js";
import { go, here } from "../kernel/router.js";
import { preferences } from "../kernel/session.js";
import { computed, effect, onCleanup, signal, untracked } from "../kernel/signals.js";
import { conversation, prefetch, put } from "../kernel/store.js";
import { onResync, onTouched } from "../kernel/stream.js";
import { attempt } from "../kernel/toast.js";
import { OWN, queryOf } from "./views.js";

const PAGE = 50;
const AGAIN_MS = 500;

export function listPane({ open, addressOf }) {
  const ids = signal(null);
  const active = signal(open.peek());
  const selected = signal(new Set());
  let cursor = null;
  let round = 0;
  let asking = false;
  const query = () => ({ ...queryOf(here.value.params.view ?? "open"), ...filtersOf(here.value.query), limit: PAGE });
  const wanted = computed(() => JSON.stringify(query()));

  const read = async (more) => {
    const mine = more ? round : (round += 1);
    asking = true;
    try {
      const found = await get("/conversations", { ...JSON.parse(wanted.peek()), cursor: more ? cursor : undefined });
      if (mine !== round) return;
      put(found.items);
      cursor = found.next_cursor;
      const fresh = found.items.map((one) => one.id);
      const kept = ids.peek() ?? [];
      // The first page anew; what lies below it stays, without what has come up.
      ids.value = [...new Set(more ? [...kept, ...fresh] : [...fresh, ...(cursor ? kept : [])])];
    } finally {
      asking = false;
    }
  };
  effect(() => {
    wanted.value;
    untracked(() => {
      ids.value = null;
      selected.value = new Set();
      attempt(read(false));
    });
  });

  let timer = 0;
  const soon = () => (timer ||= setTimeout(() => ((timer = 0), read(false).catch(() => {})), AGAIN_MS));
  onCleanup(onTouched(soon));
  onCleanup(onResync(soon));
  onCleanup(() => clearTimeout(timer));

  const openOne = (id) => go(addressOf(id));
  const list = virtualList({
    items: () => (ids.value ?? []).map((id) => conversation(id).value).filter(Boolean),
    key: (item) => item.id,
    height: () => (preferences.value.density === "dense" ? 44 : 68),
    label: t("inbox.list"),
    render: row,
    active,
    selected,
    onOpen: openOne,
    onEnd: () => cursor && !asking && read(true).catch(() => {}),
  });
  effect(() => {
    if (open.value) active.value = open.value;
  });
  effect(() => {
    const id = active.value;
    const rest = setTimeout(() => id && prefetch(id), 80);
    return () => clearTimeout(rest);
  });
  const group = t("inbox.title");
  command({ id: "next-conversation", keys: "j", text: t("inbox.next"), group, run: () => list.move(1) && open.peek() && openOne(active.peek()) });
  command({ id: "previous-conversation", keys: "k", text: t("inbox.previous"), group, run: () => list.move(-1) && open.peek() && openOne(active.peek()) });
  command({ id: "open-conversation", keys: "o", text: t("inbox.open_one"), group, when: () => Boolean(active.peek()), run: () => openOne(active.peek()) });
  command({ id: "select-conversation", keys: "x", text: t("inbox.select"), group, when: () => Boolean(active.peek()), run: () => list.toggle([active.peek()]) });

  const title = () => OWN[here.value.params.view ?? "open"]?.text() ?? t("inbox.title");
  return h(
    "section",
    { class: "pane inbox-list", "aria-label": t("inbox.list") },
    h("header", { class: "pane-head" }, h("h1", { tabindex: "-1", data: { focus: true } }, title), () => selected.value.size > 0 && h("div", { class: "row" }, h("span", { role: "status" }, t("inbox.selected", { n: selected.value.size })), button({ text: t("inbox.clear"), kind: "quiet", run: () => (selected.value = new Set()) }))),
    () => (ids.value === null ? skeleton(8) : ids.value.length === 0 ? empty({ title: t("inbox.empty"), text: t("inbox.empty_hint") }) : null),
    list,
  );
}

const NAMES = ["status", "channel", "inbox_id", "assignee_id", "team_id", "priority", "category", "tag", "contact_id", "sla", "q", "sort", "filter", "spam"];

function filtersOf(query) {
  return Object.fromEntries(NAMES.filter((name) => query.has(name)).map((name) => [name, query.getAll(name)]));
}

function row(item$) {
  const of = (read) => () => read(item$.value);
  return h(
    "div",
    { class: () => ["inbox-row", item$.value.unread && "unread"] },
    h("span", { class: "pick", data: { select: true }, "aria-hidden": "true" }),
    () => avatar({ id: item$.value.contact.id, name: item$.value.contact.name || item$.value.contact.handle, size: 32 }),
    h(
      "div",
      { class: "grow" },
      h("div", { class: "row spread" }, h("strong", { class: "cut" }, of((one) => one.contact.name || one.contact.handle)), h("time-ago", { brief: true, datetime: of((one) => one.last_activity_at) })),
      h("div", { class: "cut" }, of((one) => one.subject || t("inbox.no_subject"))),
      h(
        "div",
        { class: "row spread inbox-third" },
        h("span", { class: "cut soft" }, of((one) => one.preview)),
        () => ["due_soon", "breached"].includes(item$.value.sla_state) && h("span", { class: () => ["badge", item$.value.sla_state === "breached" ? "bad" : "warn"], title: say(item$.value.sla_state, "sla") }, h("time-left", { datetime: item$.value.next_due_at })),
        () => item$.value.status !== "open" && badge(say(item$.value.status, "status")),
      ),
    ),
  );
}
