// The live board of supervisors: what waits with which team, who is there, and how promises are kept today.

import { explain, get } from "../kernel/api.js";
import { each, h } from "../kernel/dom.js";
import { number, percent, time, zone } from "../kernel/format.js";
import { t, tn } from "../kernel/i18n.js";
import { avatar, badge, button, empty, pane, skeleton } from "../kernel/parts.js";
import { setTitle } from "../kernel/router.js";
import { may } from "../kernel/session.js";
import { computed, onCleanup, signal } from "../kernel/signals.js";

const EVERY_MS = 10_000;

export function view() {
  setTitle(t("board.title"));
  if (!may("supervisor")) return pane({ title: t("board.title"), name: "board" }, empty({ title: t("board.not_yours"), text: t("board.not_yours_hint"), icon: "shield" }));
  const board = signal(null);
  const wrong = signal(null);
  let timer = 0;
  const read = async () => {
    clearTimeout(timer);
    try {
      board.value = await get("/board", { zone: zone() });
      wrong.value = null;
    } catch (error) {
      wrong.value = error;
    }
    clearTimeout(timer);
    if (!ended) timer = setTimeout(again, EVERY_MS);
  };
  // Behind another tab nobody looks: the first thing seen on coming back is to be new.
  const again = () => document.hidden || read();
  let ended = false;
  document.addEventListener("visibilitychange", again);
  onCleanup(() => {
    ended = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", again);
  });
  read();
  const known = computed(() => Boolean(board.value));
  const state = () => (wrong.value && board.value ? [badge(t("board.old"), "warn"), button({ text: t("shell.again"), kind: "quiet", run: read })] : board.value && h("span", { class: "soft" }, t("board.at", { time: time(board.value.at) })));
  return pane({ title: t("board.title"), tools: state, name: "board" }, () => {
    if (!known.value) return wrong.value ? empty({ title: explain(wrong.value), icon: "alert", action: button({ text: t("shell.again"), run: read }) }) : skeleton(5);
    return h("div", { class: "board-whole" }, tiles(board), h("div", { class: "board-tables" }, queues(board), people(board)));
  });
}

const since = (at) => (at ? h("time-ago", { datetime: at }) : null);

function tiles(board) {
  const tile = (name, href, read, { kind = () => "", under = () => null } = {}) => {
    const figure = computed(() => read(board.value));
    return h("a", { class: () => ["board-tile", kind(board.value)], href }, h("span", {}, name), h("strong", {}, () => figure.value), h("small", {}, () => under(board.value)));
  };
  const kept = ({ sla }) => (sla.met + sla.broken ? sla.met / (sla.met + sla.broken) : null);
  return h("div", { class: "board-tiles" },
    tile(t("board.waiting"), "/inbox/open", (all) => number(all.waiting), { under: (all) => all.oldest_waiting_since && tn("board.oldest", { time: since(all.oldest_waiting_since) }) }),
    tile(t("board.queued"), "/inbox/unassigned", (all) => number(all.queues.reduce((sum, one) => sum + one.queued, 0)), { under: () => t("board.queued_hint") }),
    tile(t("board.due_soon"), "/inbox/due?sla=due_soon", (all) => number(all.sla.due_soon), { kind: (all) => all.sla.due_soon && "warn", under: () => t("board.now") }),
    tile(t("board.breached"), "/inbox/due?sla=breached", (all) => number(all.sla.breached), { kind: (all) => all.sla.breached && "bad", under: () => t("board.now") }),
    tile(t("board.kept"), "/reports/sla?days=1", (all) => (kept(all) === null ? "–" : percent(kept(all))), { under: (all) => t("board.kept_of", { met: number(all.sla.met), n: number(all.sla.met + all.sla.broken) }) }),
    tile(t("board.alerts"), "/alerts", (all) => number(all.alerts_open), { kind: (all) => all.alerts_open && "warn", under: () => t("board.alerts_hint") }),
  );
}

/** A table whose rows keep their place and change their figures. */
function table(title, heads, items, keyOf, cells, none) {
  const row = (one$) => h("tr", {}, cells(one$));
  return h("section", { class: "card board-card" },
    h("h2", {}, title),
    h("div", { class: "sideways", tabindex: "0", role: "group", "aria-label": title },
      h("table", { class: "table" }, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, each(items, keyOf, row)))),
    () => items().length === 0 && h("p", { class: "soft" }, none),
  );
}

function queues(board) {
  const shown = () => board.value.queues.filter((one) => one.team || one.open);
  const most = computed(() => Math.max(1, ...board.value.queues.map((one) => one.open)));
  const cells = (one$) => {
    const { team } = one$.peek();
    const href = team ? `/inbox/team-${team.id}` : "/inbox/all?team_id=none&status=open";
    const part = (name) => `${(one$.value[name] / most.value) * 100}%`;
    return [
      h("th", { scope: "row" }, h("a", { href }, () => one$.value.team?.name ?? t("board.no_team")), h("span", { class: "board-bar", "aria-hidden": "true", style: { "--open": () => part("open"), "--waiting": () => part("waiting") } })),
      h("td", {}, () => number(one$.value.waiting)),
      h("td", {}, () => since(one$.value.oldest_waiting_since) ?? "–"),
      h("td", {}, () => number(one$.value.queued)),
      h("td", {}, () => number(one$.value.open)),
    ];
  };
  return table(t("board.teams"), [t("board.team"), t("board.waiting"), t("board.longest"), t("board.queued"), t("board.open")], shown, (one) => one.team?.id ?? "none", cells, t("board.no_teams"));
}

function people(board) {
  const cells = (one$) => {
    const { agent } = one$.peek();
    return [
      h("th", { scope: "row" }, h("span", { class: "row" }, avatar({ ...agent, size: 24 }), h("a", { class: "cut", href: `/inbox/all?assignee_id=${agent.id}&status=open` }, () => one$.value.agent.name))),
      h("td", {}, () => (one$.value.on_duty ? badge(t("board.on_duty"), "good") : badge(t("board.off_duty")))),
      h("td", {}, () => since(one$.value.last_seen_at) ?? t("board.never")),
      h("td", {}, () => number(one$.value.open)),
      h("td", {}, () => number(one$.value.live_open)),
    ];
  };
  return table(t("board.people"), [t("board.agent"), t("board.duty"), t("board.seen"), t("board.open"), t("board.chats")], () => board.value.agents, (one) => one.agent.id, cells, t("board.nobody"));
}
