// Alerts: what calls somebody, what it is about, and saying that one has it.

import { explain, get, post } from "../kernel/api.js";
import { each, focusOn, h } from "../kernel/dom.js";
import { dateTime, list as listed } from "../kernel/format.js";
import { has, say, t, tn } from "../kernel/i18n.js";
import { badge, button, empty, pane, skeleton, tabs } from "../kernel/parts.js";
import { here, setTitle } from "../kernel/router.js";
import { computed, effect, flush, onCleanup, signal, untracked } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { on, onResync } from "../kernel/stream.js";
import { attempt } from "../kernel/toast.js";

const KINDS = { critical: "bad", warning: "warn" };
const STATES = ["open", "acknowledged", "resolved"];
const OF_PEOPLE = new Set(["role", "email", "password", "two_steps"]);
const AGAIN_MS = 500;
const PAGE = 50;

export function view() {
  setTitle(t("alerts.title"));
  const state = computed(() => (here.value.area === "alerts" && here.value.query.get("status")) || "open");
  const alerts = signal(null);
  const cursor = signal(null);
  const wrong = signal(null);
  const ask = (more) => get("/alerts", { status: STATES.includes(state.peek()) ? state.peek() : undefined, limit: PAGE, ...more });
  const read = async () => {
    const wanted = state.peek();
    const page = await ask().catch((error) => void (wrong.value = error));
    if (page) await known(page.items);
    if (!page || wanted !== state.peek()) return;
    // What was scrolled to below the first page stays, as it was when it was read.
    const last = page.items.at(-1)?.raised_at ?? "";
    const below = page.next_cursor ? (alerts.peek() ?? []).filter((one) => one.raised_at < last) : [];
    wrong.value = null;
    if (!below.length) cursor.value = page.next_cursor;
    keepFocus(() => (alerts.value = [...page.items, ...below]));
  };
  const more = async () => {
    const page = await attempt(ask({ cursor: cursor.peek() }));
    if (page) [cursor.value, alerts.value] = [page.next_cursor, [...alerts.peek(), ...page.items]];
  };
  effect(() => {
    state.value;
    alerts.value = null;
    untracked(read);
  });
  follow(read);
  const body = h("div", { class: "alerts-body" },
    tabs(t("alerts.title"), [...STATES, "all"].map((one) => ({ text: say(one, "alert"), href: one === "open" ? "/alerts" : `/alerts?status=${one}`, current: () => state.value === one }))),
    () => wrong.value && !alerts.value && empty({ title: explain(wrong.value), icon: "alert", action: button({ text: t("shell.again"), run: read }) }),
    () => alerts.value === null && !wrong.value && skeleton(3),
    () => alerts.value?.length === 0 && empty({ title: state.value === "open" ? t("alerts.none") : t("alerts.none_such"), text: state.value === "open" && t("alerts.none_hint"), icon: "bell" }),
    h("ul", { class: "alerts-list", "aria-live": "polite", "aria-relevant": "additions" }, each(() => alerts.value ?? [], (one) => one.id, (one$) => row(one$, read))),
    () => cursor.value && button({ text: t("alerts.more"), run: more }),
  );
  return pane({ title: t("alerts.title"), name: "alerts" }, body);
}

/** Who has just been made is not among those who were read before. */
async function known(alerts) {
  const agents = directory("agents");
  await agents.ready.catch(() => {});
  if (alerts.some(({ data }) => OF_PEOPLE.has(data.change) && !agents.byId(data.subject_id))) await agents.refresh().catch(() => {});
}

/** A row that goes, since it was taken here or by somebody else, hands the focus on to the next one. */
function keepFocus(change) {
  const row = document.activeElement?.closest(".alerts-row");
  const next = row?.nextElementSibling ?? row?.previousElementSibling;
  change();
  flush();
  if (row && !row.isConnected) focusOn((next?.isConnected && next.querySelector("button, a")) || document.querySelector("[data-focus]"));
}

/** Read again when something happened, once for many. */
function follow(read) {
  let timer = 0;
  const soon = () => (timer ||= setTimeout(() => ((timer = 0), read()), AGAIN_MS));
  for (const type of ["alert.raised", "alert.acknowledged", "alert.resolved"]) onCleanup(on(type, soon));
  onCleanup(onResync(soon));
  onCleanup(() => clearTimeout(timer));
}

/** The most exact words that there are for what it says. */
function headline({ kind, clock_kind: clock, data }) {
  if (kind === "unknown_holidays") return t("alerts.unknown_holidays", { year: data.year ?? "" });
  const exact = `${kind}_${clock || data.change || ""}`;
  const known = [exact, kind].find((one) => has(`alert_kind.${one}`)) ?? "other";
  return say(known, "alert_kind");
}

/** Whom or what somebody changed, and who did: where it was not he himself, his session is in other hands. */
function changed({ change, subject_id: subject, agent_id: by }, name) {
  const whose = name(subject) || (change === "inbox" ? directory("inboxes").byId(subject)?.name : "");
  return [whose && h("span", {}, t("alerts.changed", { name: whose })), name(by) && h("span", {}, t("alerts.changed_by", { name: name(by) }))];
}

function row(alert$, read) {
  const { id, severity, conversation, raised_at: at } = alert$.peek();
  const name = (agent) => directory("agents").byId(agent)?.name ?? "";
  const take = async () => {
    await attempt(post(`/alerts/${id}/acknowledge`), { done: t("alerts.taken") });
    await read();
  };
  const details = () => {
    const { kind, clock_kind: clock, data, recipients, level, next_due_at: next, acknowledged_by: by, status } = alert$.value;
    const called = listed(recipients.map((one) => name(one.agent_id)).filter(Boolean));
    return [
      clock && h("span", {}, say(clock, "alert_clock")),
      kind === "security_change" && changed(data, name),
      data.due_at && h("span", {}, t("alerts.due", { time: dateTime(data.due_at) })),
      called && h("span", {}, t("alerts.called", { names: called })),
      level > 0 && h("span", {}, t("alerts.level", { n: level + 1 })),
      status === "open" && next && h("span", {}, tn("alerts.next", { time: h("time-left", { datetime: next }) })),
      by && h("span", {}, t("alerts.by", { name: name(by), time: dateTime(alert$.value.acknowledged_at) })),
      alert$.value.resolved_at && h("span", {}, t("alerts.over", { time: dateTime(alert$.value.resolved_at) })),
    ];
  };
  const open = () => alert$.value.status === "open";
  return h("li", { class: ["alerts-row", KINDS[severity]] },
    h("div", { class: "alerts-what" },
      h("div", { class: "row" }, badge(say(severity, "severity"), KINDS[severity] ?? ""), h("strong", {}, () => headline(alert$.value)), h("time-ago", { class: "soft", datetime: at })),
      conversation && h("a", { class: "cut", href: `/conversations/${conversation.id}` }, `#${conversation.number} `, conversation.subject || t("alerts.no_subject")),
      h("p", { class: "alerts-details soft" }, details),
    ),
    () => (open() ? button({ text: t("alerts.take"), kind: severity === "critical" ? "primary" : "", run: take }) : badge(say(alert$.value.status, "alert"), alert$.value.status === "resolved" ? "good" : "")),
  );
}
