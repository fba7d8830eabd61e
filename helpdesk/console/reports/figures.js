// What each report tells: its figures, how they are written, and how they are drawn. What they count is said in docs/reports.md.

import { duration, number, percent } from "../kernel/format.js";

const seconds = (value) => duration(value, "narrow");
const score = (value) => number(value, { maximumFractionDigits: 1 });
const GROUPS = ["inbox", "team", "agent", "channel", "category", "priority", "language"];
const TIMES = ["median", "p90", "business_median", "business_p90"];
const all = (format, ...names) => Object.fromEntries(names.map((name) => [name, format]));

/**
 * Of each: `columns` of its table with their formats, `tiles` as `[column, kind?]`, `chart` as series `[column, kind?]` with
 * colours in order, `heat` a column for the hours of the week, `kinds` what it has a line for within each group.
 */
export const REPORTS = {
  volume: {
    columns: all(number, "received", "sent", "created", "resolved", "reopened"),
    tiles: [["received"], ["sent"], ["created"], ["resolved"], ["reopened"]],
    chart: { series: [["received"], ["sent"]] },
    heat: "received",
    groups: GROUPS,
  },
  "response-times": {
    kinds: ["first_response", "next_response"],
    columns: { count: number, ...all(seconds, ...TIMES) },
    tiles: [["median", "first_response"], ["p90", "first_response"], ["business_median", "first_response"], ["median", "next_response"], ["p90", "next_response"]],
    chart: { series: [["median", "first_response"], ["median", "next_response"]], line: true, unit: "seconds" },
    groups: GROUPS,
  },
  sla: {
    kinds: ["first_response", "next_response", "resolution"],
    columns: { ...all(number, "met", "broken", "open_broken", "open"), compliance: percent },
    tiles: [["compliance", "first_response"], ["compliance", "next_response"], ["compliance", "resolution"], ["broken"], ["open_broken"]],
    chart: { series: [["met"], ["broken"], ["open_broken"]], stacked: true },
    groups: GROUPS,
  },
  backlog: {
    now: true,
    columns: { ...all(number, "open", "pending", "snoozed", "waiting"), ...all(seconds, "oldest_waiting", "oldest"), ...all(number, "under_1_day", "under_3_days", "under_7_days", "under_30_days", "older") },
    tiles: [["open"], ["pending"], ["snoozed"], ["waiting"], ["oldest_waiting"]],
    spread: ["under_1_day", "under_3_days", "under_7_days", "under_30_days", "older"],
    groups: [...GROUPS, "status", "sla"],
  },
  ratings: {
    columns: { ...all(number, "sent", "rated"), ...all(percent, "response_rate", "satisfied"), mean: score, ...all(number, "score_5", "score_4", "score_3", "score_2", "score_1") },
    tiles: [["mean"], ["satisfied"], ["rated"], ["response_rate"]],
    spread: ["score_1", "score_2", "score_3", "score_4", "score_5"],
    chart: { series: [["satisfied"]], line: true, most: 1, unit: "share" },
    groups: GROUPS,
  },
  chats: {
    columns: { ...all(number, "chats", "answered", "missed", "abandoned"), ...all(seconds, "wait_median", "wait_p90", "first_response_median", "duration_median") },
    tiles: [["chats"], ["answered"], ["missed"], ["wait_median"], ["first_response_median"]],
    chart: { series: [["answered"], ["missed"]], stacked: true },
    heat: "chats",
    groups: GROUPS,
  },
};

/** One figure out of the lines of a group: of one kind, or summed over all of them. Null where there is none. */
export function figureOf(lines, column, kind) {
  const mine = kind ? lines.filter((one) => one.kind === kind) : lines;
  const sum = (name) => mine.reduce((whole, one) => whole + (one[name] ?? 0), 0);
  if (!mine.length) return null;
  if (column !== "compliance") return mine.length === 1 ? mine[0][column] : sum(column);
  const whole = sum("met") + sum("broken") + sum("open_broken");
  return whole ? sum("met") / whole : null;
}

const two = (part) => String(part).padStart(2, "0");
/** A day by this browser's clock, as the API names it. */
export const dayName = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const midnight = (at, days = 0) => new Date(at.getFullYear(), at.getMonth(), at.getDate() + days);
/** A day that is written, as local midnight; null where it is none. */
const dayOf = (text) => (/^\d{4}-\d\d-\d\d$/.test(text ?? "") ? new Date(`${text}T00:00`) : null);

const FIRST_DAYS = 28;
export const PERIODS = [1, 7, 28, 90, 365];

/** The time that an address asks for: `days` until now, or whole days `from` … `to`. */
export function periodOf(query, now) {
  const [from, to] = [dayOf(query.get("from")), dayOf(query.get("to"))];
  const days = PERIODS.find((one) => String(one) === query.get("days")) ?? FIRST_DAYS;
  const own = from && to && from <= to;
  const after = own ? from : midnight(now, 1 - days);
  const before = own ? midnight(to, 1) : new Date(Math.ceil(now / 60_000) * 60_000);
  const long = (before - after) / 86_400_000;
  return { own: Boolean(own), days: own ? null : days, after, before, by: long <= 35 ? "day" : long <= 190 ? "week" : "month" };
}

/** The days, weeks or months of a period, also those of which the report has no line: `{key, at}`. */
export function stepsOf({ after, before, by }) {
  const found = [];
  let at = by === "day" ? after : by === "week" ? midnight(after, -((after.getDay() + 6) % 7)) : new Date(after.getFullYear(), after.getMonth(), 1);
  while (at < before) {
    found.push({ key: dayName(at), at });
    at = by === "month" ? new Date(at.getFullYear(), at.getMonth() + 1, 1) : midnight(at, by === "week" ? 7 : 1);
  }
  return found;
}
