// What can be looked at: the console's own views with their numbers, those of teams, and those that people keep.

import { command } from "../kernel/commands.js";
import { each, h } from "../kernel/dom.js";
import { number } from "../kernel/format.js";
import { has, say, t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { go, here } from "../kernel/router.js";
import { computed, effect } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { FIRST, VIEWS } from "./asking.js";
import { counts, keepCounting } from "./counts.js";

/** How the console's own views look: their drawing, their keys, and their number in the API's counts. */
const LOOKS = {
  mine: ["person", "g m", (all) => all.mine],
  unassigned: ["inbox", "g u", (all) => all.unassigned],
  open: ["mail", "g o", (all) => all.status.open + all.status.pending],
  due: ["clock", "g d", (all) => all.sla.due_soon + all.sla.breached],
  unread: ["bell", "g n", (all) => all.unread],
  mentions: ["at", "g t", (all) => all.mentions],
  watched: ["eye", "g w", () => 0],
  drafts: ["edit", "", (all) => all.drafts],
  snoozed: ["snooze", "g z", (all) => all.status.snoozed],
  resolved: ["check", "g e", () => 0],
  spam: ["shield", "", () => 0],
  all: ["board", "g l", () => 0],
};

export const viewNow = () => here.value.params.view ?? FIRST;

/** The name of the view that is shown. */
export function viewName(view = viewNow()) {
  if (VIEWS[view]) return say(view, "inbox.view");
  const [, kind, id] = /^(team|inbox)-(.*)/.exec(view) ?? [null, "view", view];
  const name = directory(`${kind === "inbox" ? "inboxe" : kind}s`).byId(id)?.name;
  return name ?? (has("inbox.title") ? t("inbox.title") : "");
}

const shownCount = (value, most) => (!value ? "" : value >= most ? `${number(most - 1)}+` : number(value));

function viewLink(id, text, count, drawing) {
  const found = computed(() => (counts.value ? shownCount(count(counts.value), counts.value.most) : ""));
  const current = computed(() => viewNow() === id);
  const late = id === "due" && computed(() => Boolean(counts.value?.sla.breached));
  const link = h(
    "a",
    { href: `/inbox/${id}`, "aria-current": () => (current.value ? "page" : null) },
    icon(drawing, { size: 16 }),
    h("span", { class: "grow cut" }, text),
    h("span", { class: () => ["inbox-count", late && late.value && "late"] }, () => found.value),
  );
  effect(() => current.value && requestAnimationFrame(() => link.scrollIntoView({ block: "nearest", inline: "nearest" })));
  return link;
}

export function viewsPane() {
  keepCounting();
  const saved = directory("views");
  const own = Object.entries(LOOKS).map(([id, [drawing, keys, count]]) => {
    command({ id: `view-${id}`, keys: keys || undefined, icon: drawing, text: say(id, "inbox.view"), group: t("shell.go_to"), run: () => go(`/inbox/${id}`) });
    return viewLink(id, say(id, "inbox.view"), count, drawing);
  });
  const counted = (names) => {
    const [known, mine] = [directory(names), computed(() => (counts.value ? Object.keys(counts.value[names]).sort().join(" ") : ""))];
    return () => known.list.value.filter((one) => mine.value.split(" ").includes(one.id));
  };
  const [ofTeams, ofInboxes] = [counted("teams"), counted("inboxes")];
  const group = (title, items, link) => [h("h3", { hidden: () => !items().length }, title), each(items, (one) => one.id, link)];
  return h(
    "nav",
    { class: "inbox-views sideways", "aria-label": t("inbox.views") },
    own,
    group(t("inbox.teams"), ofTeams, (one$) => viewLink(`team-${one$.peek().id}`, () => one$.value.name, (all) => all.teams[one$.peek().id], "people")),
    // With one alone, all that is open is in it.
    group(t("inbox.inboxes"), () => (ofInboxes().length > 1 ? ofInboxes() : []), (one$) => viewLink(`inbox-${one$.peek().id}`, () => one$.value.name, (all) => all.inboxes[one$.peek().id], "inbox")),
    group(t("inbox.kept"), () => saved.list.value, (one$) => viewLink(one$.peek().id, () => one$.value.name, (all) => all.views[one$.peek().id], "filter")),
  );
}
