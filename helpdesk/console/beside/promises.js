// What was promised and how it is kept: each clock with the time that is left, and why it is so.

import { get } from "../kernel/api.js";
import { each, h } from "../kernel/dom.js";
import { dateTime, duration, now, time } from "../kernel/format.js";
import { say, t } from "../kernel/i18n.js";
import { badge } from "../kernel/parts.js";
import { here } from "../kernel/router.js";
import { computed, onCleanup, signal } from "../kernel/signals.js";
import { onResync, onTouched } from "../kernel/stream.js";
import { reading, shown } from "./reading.js";

const AGAIN_MS = 500;
const TICK_MS = 15_000;
const GOING = new Set(["running", "paused", "breached"]);
const KINDS = { met: "good", met_late: "warn", breached: "bad", paused: "note" };
const OPEN = 2;
const HOUR = 3600;

/** The clocks of a conversation, read again when something happens to it. */
export function promises(id) {
  const found = reading(() => get(`/conversations/${id}/sla`));
  let timer = 0;
  const want = () => {
    timer ||= setTimeout(() => ((timer = 0), found.again()), AGAIN_MS);
  };
  const offs = [onTouched(({ ids }) => ids.has(id) && want()), onResync(want)];
  const tick = signal(now());
  const ticking = setInterval(() => (tick.value = now()), TICK_MS);
  onCleanup(() => {
    offs.forEach((off) => off());
    clearTimeout(timer);
    clearInterval(ticking);
  });
  return shown(found, (answer) => whole(answer, tick));
}

const keyOf = (clock) => `${clock.kind} ${clock.cycle}`;

function whole(answer, tick) {
  // What goes on comes first, then what ended last; what ended long ago is folded away.
  const all = computed(() => {
    const going = answer.value.clocks.filter((one) => GOING.has(one.state));
    return [...going, ...answer.value.clocks.filter((one) => !GOING.has(one.state)).reverse()];
  });
  const most = computed(() => Math.max(OPEN, all.value.filter((one) => GOING.has(one.state)).length));
  const [first, over] = [computed(() => all.value.slice(0, most.value)), computed(() => all.value.slice(most.value))];
  const rows = (some) => each(() => some.value, keyOf, (clock$) => promise(clock$, tick));
  return h(
    "div",
    { class: "promises" },
    () => !answer.value.clocks.length && h("p", { class: "soft" }, t("beside.no_promise")),
    rows(first),
    h("details", { hidden: () => !over.value.length }, h("summary", {}, () => t("beside.over", { n: over.value.length })), rows(over)),
  );
}

function promise(clock$, tick) {
  const open = signal(false);
  const { kind, cycle } = clock$.peek();
  const id = `why-${kind}-${cycle}`;
  const name = () => say(kind, "beside.clock") + (cycle > 1 ? ` ${cycle}` : "");
  const soon = () => clock$.value.state === "running" && clock$.value.warnings_passed > 0;
  return h(
    "section",
    { class: () => ["promise", `promise-${clock$.value.state}`, soon() && "promise-soon"], "aria-label": name },
    h("div", { class: "row" }, h("h4", { class: "grow" }, name), () => standing(clock$.value), h("button", { type: "button", class: "promise-why", "aria-expanded": () => String(open.value), "aria-controls": id, on: { click: () => (open.value = !open.peek()) } }, t("beside.why"))),
    h("div", { class: "promise-used", "aria-hidden": "true" }, h("i", { style: { "--used": () => `${used(clock$.value, tick.value) * 100}%` } })),
    h("div", { id, hidden: () => !open.value }, () => open.value && why(clock$.value, tick)),
  );
}

function standing({ state, due_at: due }) {
  if ((state === "running" || state === "breached") && due) return h("time-left", { class: "promise-left", datetime: due });
  return badge(say(state, "beside.state"), KINDS[state]);
}

/** How much of the promised time is gone, from 0 to 1; it goes on only while it counts. */
function used(clock, at) {
  const last = clock.intervals.at(-1);
  const counting = GOING.has(clock.state) && last?.why === "counted" && !clock.more_intervals;
  const since = counting ? Math.max(0, (at - Date.parse(last.end)) / 1000) : 0;
  return Math.min(1, (clock.elapsed_seconds + since) / Math.max(1, clock.target_seconds));
}

/** The promise in sentences, and where the time went as a line. */
function why(clock, tick) {
  const { policy, calendar, intervals } = clock;
  return h(
    "div",
    { class: "why" },
    h("p", {}, promised(clock, { time: duration(clock.target_seconds), policy: policy.name, version: policy.version })),
    clock.trouble && h("p", { class: "error" }, say(clock.trouble, "beside.trouble")),
    intervals.length > 0 && drawing(clock, tick),
    sums(clock),
    h("dl", { class: "facts" }, facts(clock, calendar)),
    intervals.length > 0 && periods(clock),
    clock.escalations.map(ladder),
  );
}

const promised = (clock, values) => (clock.time === "business" ? t("beside.promised_business", values) : t("beside.promised_calendar", values));

function facts(clock, calendar) {
  const other = clock.time === "business" ? clock.due_if_calendar : clock.due_if_business;
  const fact = (name, value) => value && [h("dt", {}, name), h("dd", {}, value)];
  return [
    fact(t("beside.began"), dateTime(clock.started_at)),
    clock.due_at && fact(t("beside.due"), dateTime(clock.due_at)),
    other && other !== clock.due_at && fact(clock.time === "business" ? t("beside.due_calendar") : t("beside.due_business"), dateTime(other)),
    calendar && fact(t("beside.calendar"), `${calendar.name} · ${calendar.zone}`),
    clock.breached_at && fact(t("beside.breached"), dateTime(clock.breached_at)),
    clock.ended_at && fact(t("beside.ended"), ending(clock)),
  ];
}

function ending({ ended_at: at, ended_by: by }) {
  if (!by) return dateTime(at);
  const { path, query } = here.peek();
  const words = t("beside.ended_by", { time: dateTime(at), name: by.author_name || say(by.author_kind, "author") });
  return path.startsWith("/contacts") ? words : h("a", { href: `${path}?${new URLSearchParams({ ...Object.fromEntries(query), message: by.seq })}` }, words);
}

/** Where the time went, to scale, from its beginning to its due time or now, whatever is later. */
function drawing({ intervals, due_at: due, ended_at: ended }, tick) {
  const from = Date.parse(intervals[0].start);
  const to = () => Math.max(Date.parse(intervals.at(-1).end), due ? Date.parse(due) : 0, ended ? 0 : tick.value);
  const at = (when) => () => `${((when - from) / Math.max(1, to() - from)) * 100}%`;
  const wide = ({ start, end }) => () => `${((Date.parse(end) - Date.parse(start)) / Math.max(1, to() - from)) * 100}%`;
  const piece = (one) => h("i", { class: `why-${one.why}`, style: { "--at": at(Date.parse(one.start)), "--wide": wide(one) } });
  return h(
    "div",
    { class: "why-line", "aria-hidden": "true" },
    intervals.map(piece),
    due && h("b", { class: "why-due", style: { "--at": at(Date.parse(due)) } }),
    !ended && h("b", { class: "why-now", style: { "--at": () => at(tick.value)() } }),
  );
}

function sums({ intervals }) {
  const total = new Map();
  for (const { why: reason, seconds } of intervals) total.set(reason, (total.get(reason) ?? 0) + seconds);
  return h("ul", { class: "why-sums" }, [...total].map(([reason, seconds]) => h("li", {}, h("i", { class: `why-${reason}` }), say(reason, "beside.because"), " ", h("span", { class: "soft" }, duration(seconds, "narrow")))));
}

function periods({ intervals, more_intervals: more }) {
  const until = ({ start, end }) => (Date.parse(end) - Date.parse(start) < 12 * HOUR * 1000 ? time(end) : dateTime(end));
  const entry = (one) => h("li", {}, h("span", {}, `${dateTime(one.start)} – ${until(one)}`), h("span", { class: "soft" }, `${say(one.why, "beside.because")} · ${duration(one.seconds, "narrow")}`));
  return h("details", {}, h("summary", {}, t("beside.periods")), h("ol", { class: "why-periods" }, intervals.map(entry), more && h("li", { class: "soft" }, t("beside.more_periods"))));
}

const ladder = ({ name, steps, next_due_at: next }) =>
  h("p", { class: "soft" }, next ? t("beside.escalation_next", { name, time: dateTime(next) }) : t("beside.escalation_taken", { name, n: steps.filter((one) => !one.skipped).length }));
