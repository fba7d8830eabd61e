// The list of conversations: it follows the address, and what happens, without moving under the reader's eyes.

import { explain, get } from "../kernel/api.js";
import { command } from "../kernel/commands.js";
import { h, on, when } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { virtualList } from "../kernel/list.js";
import { button, empty, linkButton, skeleton } from "../kernel/parts.js";
import { go, here, loadArea } from "../kernel/router.js";
import { may, me, preferences } from "../kernel/session.js";
import { computed, effect, flush, onCleanup, signal, untracked } from "../kernel/signals.js";
import { directory, prefetch } from "../kernel/store.js";
import { asked, FILTERS } from "./asking.js";
import { actionCommands, matching, selectionBar } from "./commands.js";
import { feed, MOST } from "./feed.js";
import { exportList, filterButton, filterChips, openFilters, sortButton } from "./filters.js";
import { row } from "./row.js";
import { viewName, viewNow } from "./views.js";

const REST_MS = 80; // of the keys or the pointer on a row, before what it opens is read ahead
const POINTING_MS = 700;
const TICK_MS = 10_000;
const MEET_MS = 15_000;

export function listPane({ open, addressOf }) {
  const active = signal(open.peek());
  const selected = signal(new Set());
  const [atTop, pointing, tick] = [signal(true), signal(false), signal(0)];
  const key = computed(() => JSON.stringify(asked(here.value.params.view, here.value.query)));
  const wanted = computed(() => JSON.parse(key.value));
  const saved = () => directory("views").byId(wanted.peek().view_id);
  const height = () => (preferences.value.density === "dense" ? 44 : 68);
  const found = feed({
    wanted,
    sort: () => untracked(() => [wanted.peek().sort].flat()[0] ?? saved()?.sort),
    speaksOfSpam: () => untracked(() => "spam" in wanted.peek() || /"spam"/.test(JSON.stringify([wanted.peek().filter, saved()?.filter]))),
    still: () => atTop.value && !selected.value.size && !pointing.value,
    pointing: () => pointing.value,
    place: (change) => keepPlace(list, found, height, change),
  });
  const here$ = signal(new Map());
  const openOne = (id) => go(addressOf(id));
  const plain = () => ["open", ...[wanted.value.status].flat().filter((one, at, all) => all.length === 1)];
  const list = virtualList({
    items: () => found.ids.value ?? [],
    key: (id) => id,
    height,
    label: t("inbox.list"),
    render: (id$) => row(id$.peek(), { tick, plain, others: (id) => here$.value.get(id) ?? "" }),
    active,
    selected,
    onOpen: openOne,
    onEnd: found.further,
  });
  followReader({ list, found, active, selected, open, atTop, pointing, tick, wanted });
  const bare = signal(false); // a house that has no inbox yet
  effect(() => {
    if (found.ids.value?.length === 0 && may("admin")) directory("inboxes").ready.then((all) => (bare.value = !all.length), () => {});
  });
  meetOthers(list, here$);
  listCommands({ list, active, selected, open, openOne });
  const targets = () => (selected.peek().size ? [...selected.peek()] : [open.peek() ?? active.peek()].filter(Boolean));
  // Words are searched for by other means than a filter: what they find cannot be named by one.
  command({ id: "all-matching", icon: "filter", text: t("inbox.matching"), group: t("inbox.title"), when: () => !wanted.peek().q, run: () => matching(wanted) });
  actionCommands({ targets, chosen: () => selected.peek().size > 0, open: () => Boolean(open.peek()) });
  return h(
    "section",
    { class: "pane inbox-list", "aria-label": t("inbox.list"), "aria-busy": () => String(found.busy.value && found.ids.value === null) },
    h(
      "header",
      { class: "pane-head" },
      h("h1", { class: "cut", tabindex: "-1", data: { focus: true } }, () => (selected.value.size ? t("inbox.selected", { n: selected.value.size }) : viewName())),
      when(() => selected.value.size > 0, () => selectionBar({ selected, targets, ids: found.ids, wanted }), () => h("div", { class: "row inbox-tools" }, sortButton(), filterButton())),
    ),
    filterChips({ save: () => loadArea("inbox/acting").then((all) => all.saveView(wanted.peek())) }),
    h("div", { class: "inbox-new" }, () => found.waiting.value.size > 0 && button({ icon: "up", text: t("inbox.new", { n: found.waiting.value.size }), kind: "primary", run: () => ((list.scrollTop = 0), found.show()) })),
    () => instead(found, bare),
    list,
    () => found.ids.value?.length >= MOST && h("p", { class: "inbox-end soft" }, t("inbox.most", { n: MOST })),
  );
}

/** What stands in place of rows: that they are awaited, that there are none, or why they cannot be shown. */
function instead(found, bare) {
  if (found.trouble.value) {
    const gone = [404, 422].includes(found.trouble.value.status);
    const action = gone ? h("a", { class: "button", href: "/inbox" }, t("inbox.to_open")) : button({ text: t("shell.again"), run: () => found.read() });
    return empty({ title: gone ? t("inbox.no_view") : explain(found.trouble.value), text: gone ? t("inbox.no_view_hint") : "", icon: "alert", action });
  }
  if (found.ids.value === null) return skeleton(8);
  if (found.ids.value.length) return null;
  if (found.more.value) return empty({ title: t("inbox.far"), text: t("inbox.far_hint"), icon: "search", action: button({ text: t("inbox.further"), run: () => found.further() }) });
  if (bare.value) return empty({ title: t("inbox.no_inbox"), text: t("inbox.no_inbox_hint"), action: linkButton({ text: t("inbox.add_inbox"), kind: "primary", href: "/welcome" }) });
  const filtered = FILTERS.some((name) => here.value.query.has(name));
  return filtered ? empty({ title: t("inbox.none_fit"), text: t("inbox.none_fit_hint"), icon: "filter" }) : empty({ title: t("inbox.empty"), text: viewNow() === "mine" ? t("inbox.empty_mine") : t("inbox.empty_hint"), icon: "check" });
}

/** Change what is shown, and keep the first row in sight that stays where it is. */
function keepPlace(list, found, height, change) {
  const top = list.scrollTop;
  if (top < 4) return change();
  const before = found.ids.peek() ?? [];
  const size = untracked(height);
  change();
  const after = new Map((found.ids.peek() ?? []).map((id, at) => [id, at]));
  const first = before.findIndex((id, at) => at >= Math.floor(top / size) && after.has(id));
  if (first < 0) return;
  flush();
  list.scrollTop = top + (after.get(before[first]) - first) * size;
}

/** Whatever the reader does that the list must know of: where he is, what he points at, what he has open. */
function followReader({ list, found, active, selected, open, atTop, pointing, tick, wanted }) {
  on(list, "scroll", () => (atTop.value = list.scrollTop < 4), { passive: true });
  let [still, rest] = [0, 0];
  const away = () => (clearTimeout(still), (pointing.value = false));
  on(list, "pointermove", (event) => {
    if (event.pointerType !== "mouse") return;
    pointing.value = true;
    clearTimeout(still);
    still = setTimeout(away, POINTING_MS);
    clearTimeout(rest);
    const id = event.target.closest("[role=option]")?.dataset.id;
    if (id) rest = setTimeout(() => prefetch(id), REST_MS);
  }, { passive: true });
  on(list, "pointerleave", away);
  const timer = setInterval(() => document.hidden || tick.update((n) => n + 1), TICK_MS);
  onCleanup(() => (clearInterval(timer), clearTimeout(rest), away()));
  effect(() => {
    wanted.value;
    untracked(() => {
      selected.value = new Set();
      list.scrollTop = 0;
      if (!open.peek()) active.value = null;
    });
  });
  effect(() => {
    if (open.value) active.value = open.value;
    if (open.value) list.reveal(open.value);
  });
  effect(() => {
    const [id, opened] = [active.value, open.value];
    const soon = setTimeout(() => id && id !== opened && prefetch(id), REST_MS);
    return () => clearTimeout(soon);
  });
  effect(() => {
    const known = new Set(found.ids.value ?? []);
    const kept = [...selected.peek()].filter((id) => known.has(id));
    if (kept.length !== selected.peek().size) selected.value = new Set(kept);
  });
}

/** Who else is at the conversations in sight, asked for now and then: nothing tells a list of it. */
function meetOthers(list, here$) {
  const look = async () => {
    const ids = [...list.querySelectorAll("[data-id]")].map((one) => one.dataset.id).slice(0, 100);
    if (document.hidden || !ids.length) return;
    const { items } = await get("/presence", { conversation_id: ids }).catch(() => ({ items: [] })); // later, then
    const names = (all) => all.filter((one) => one.agent.id !== me.peek()?.id).map((one) => one.agent.name).join(", ");
    const found = items.map((one) => [one.conversation_id, names(one.presence)]).filter(([, name]) => name);
    if (found.length || here$.peek().size) here$.value = new Map(found);
  };
  const first = setTimeout(look, 1500);
  const timer = setInterval(look, MEET_MS);
  onCleanup(() => (clearTimeout(first), clearInterval(timer)));
}

function listCommands({ list, active, selected, open, openOne }) {
  const group = t("inbox.title");
  const step = (by) => list.move(by) && open.peek() && openOne(active.peek());
  const one = () => Boolean(active.peek());
  command({ id: "next-conversation", keys: "j", text: t("inbox.next"), group, icon: "down", run: () => step(1) });
  command({ id: "previous-conversation", keys: "k", text: t("inbox.previous"), group, icon: "up", run: () => step(-1) });
  command({ id: "open-conversation", keys: ["o", "Enter"], text: t("inbox.open_one"), group, icon: "mail", when: () => one() && active.peek() !== open.peek() && !document.activeElement?.closest("a, button, summary"), run: () => openOne(active.peek()) });
  command({ id: "select-conversation", keys: "x", text: t("inbox.select"), group, icon: "check", when: one, run: () => list.toggle([active.peek()]) });
  command({ id: "select-none", keys: "Escape", text: t("inbox.clear"), group, when: () => selected.peek().size > 0, run: () => (selected.value = new Set()) });
  command({ id: "export-conversations", text: t("inbox.export"), group, icon: "download", when: () => may("supervisor"), run: exportList });
  command({ id: "filter-conversations", keys: "f", text: t("inbox.filter_by"), group, icon: "filter", run: () => openFilters(list.closest("section").querySelector("header")) });
}
