// Numbers, times and durations, all by Intl: nothing here is put together by hand.

import { language } from "./i18n.js";

const made = new Map();
function intl(Kind, options) {
  const key = `${Kind.name}${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new Kind(language, options));
  return made.get(key);
}

let offset = 0;
/** Milliseconds since 1970 by the server's clock, as far as its answers tell: promises are the server's. */
export const now = () => Date.now() + offset;
/** Learn the difference from the `Date` header of an answer, which has whole seconds. */
export function learnClock(header) {
  const theirs = Date.parse(header ?? "");
  if (!Number.isNaN(theirs) && Math.abs(theirs + 500 - Date.now() - offset) > 1500) offset = theirs + 500 - Date.now();
}

export const number = (value, options) => intl(Intl.NumberFormat, options).format(value);
export const compact = (value) => number(value, { notation: "compact", maximumFractionDigits: 1 });
export const percent = (part) => number(part, { style: "percent", maximumFractionDigits: 1 });
export const list = (names, type = "conjunction") => intl(Intl.ListFormat, { type }).format(names);
export const compare = (one, other) => intl(Intl.Collator, { numeric: true, sensitivity: "base" }).compare(one, other);
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
export const weekday = (at, style = "short") => shown(at, { weekday: style });

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"];
export function bytes(count) {
  const power = count < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(count) / 3));
  const options = { style: "unit", unit: UNITS[power], unitDisplay: "short", maximumFractionDigits: power > 1 ? 1 : 0 };
  return number(count / 1000 ** power, options);
}

const shown = (at, options) => intl(Intl.DateTimeFormat, options).format(new Date(at));
export const date = (at, options = { dateStyle: "medium" }) => shown(at, options);
export const time = (at) => shown(at, { timeStyle: "short" });
export const dateTime = (at) => shown(at, { dateStyle: "medium", timeStyle: "short" });
export const exact = (at) => shown(at, { dateStyle: "full", timeStyle: "long" });

const dayOf = (at) => new Date(at).setHours(0, 0, 0, 0);

/** As short as a list wants it: the time today, the day this year, the date before. */
export function brief(at) {
  const when = new Date(at);
  if (dayOf(when) === dayOf(now())) return time(when);
  if (when.getFullYear() === new Date(now()).getFullYear()) return shown(when, { month: "short", day: "numeric" });
  return shown(when, { dateStyle: "short" });
}

/** A day as a heading: today and yesterday by name. */
export function day(at) {
  const apart = Math.round((dayOf(at) - dayOf(now())) / 86_400_000);
  if (apart === 0 || apart === -1) return intl(Intl.RelativeTimeFormat, { numeric: "auto" }).format(apart, "day");
  return shown(at, { weekday: "long", month: "long", day: "numeric", ...(apart < -300 ? { year: "numeric" } : {}) });
}

const STEPS = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** "3 minutes ago", "in 2 hours". */
export function relative(at, style = "short") {
  const seconds = (Date.parse(at) - now()) / 1000;
  const [unit, size] = STEPS.find(([, one]) => Math.abs(seconds) >= one) ?? ["second", 1];
  const count = unit === "second" ? 0 : Math.trunc(seconds / size);
  return intl(Intl.RelativeTimeFormat, { numeric: "auto", style }).format(count, unit);
}

/** Seconds as the two largest units: "2 hr 5 min". `style`: narrow, short or long. */
export function duration(seconds, style = "short") {
  let rest = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, size] of [...STEPS, ["second", 1]]) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count && parts.length < 2) parts.push([unit, count]);
    else if (parts.length) break;
  }
  if (!parts.length) parts.push(["second", 0]);
  return parts.map(([unit, count]) => number(count, { style: "unit", unit, unitDisplay: style })).join(" ");
}
