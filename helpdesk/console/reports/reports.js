// Reports: figures for a time and for what is chosen, all of it in the address, drawn, as tables, and as CSV.

import { explain, get, href, isAbort } from "../kernel/api.js";
import { chart, heat } from "../kernel/chart.js";
import { each, h } from "../kernel/dom.js";
import { compare, date, now, number, zone } from "../kernel/format.js";
import { language, say, t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { button, empty, pane, skeleton, tabs } from "../kernel/parts.js";
import { here, setTitle } from "../kernel/router.js";
import { computed, effect, signal, untracked } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { answers } from "./answers.js";
import { figureOf, periodOf, REPORTS, stepsOf } from "./figures.js";
import { filters, FILTERS } from "./filters.js";

const LATE_MS = 150; // what comes sooner needs no sign that it is coming

export function view() {
  setTitle(t("reports.title"));
  const name = computed(() => (REPORTS[here.value.params.name] ? here.value.params.name : "volume"));
  const address = computed(() => (here.value.area === "reports" ? `${name.value}?${here.value.query}` : ""));
  const found = signal(null);
  const wrong = signal(null);
  const busy = signal(true);
  const late = signal(false);
  const again = signal(0);
  effect(() => {
    again.value;
    if (!address.value) return undefined;
    const stopping = new AbortController();
    const timer = setTimeout(() => (late.value = true), LATE_MS);
    busy.value = true;
    untracked(() => read(name.value, here.value.query, stopping.signal)).then(
      (got) => ((found.value = got), (wrong.value = null)),
      (error) => isAbort(error) || (wrong.value = error),
    ).finally(() => stopping.signal.aborted || (clearTimeout(timer), (busy.value = late.value = false)));
    return () => (stopping.abort(), clearTimeout(timer));
  });
  // The query goes along: who compares reports compares the same time and team.
  const kept = (one) => () => `/reports/${one}${here.value.query.size ? `?${here.value.query}` : ""}`;
  const shown = () => {
    if (wrong.value) return empty({ title: explain(wrong.value), icon: "alert", action: button({ text: t("shell.again"), run: () => again.update((n) => n + 1) }) });
    if (found.value && found.value.name === name.value) return untracked(() => whole(found.value));
    return late.value ? skeleton(5) : null;
  };
  return pane({ title: t("reports.title"), name: "reports" },
    tabs(t("reports.title"), Object.keys(REPORTS).map((one) => ({ text: say(one, "report"), href: kept(one), current: () => name.value === one }))),
    filters(name),
    h("div", { class: () => ["reports-whole", late.value && "late"], "aria-busy": () => String(busy.value) }, shown),
  );
}

/** All that one report shows, asked for at once. */
async function read(name, query, stop) {
  const report = REPORTS[name];
  const period = periodOf(query, new Date(now()));
  const group = report.groups.includes(query.get("by")) ? query.get("by") : "inbox";
  const some = Object.fromEntries(FILTERS.map((one) => [one, query.getAll(one)]));
  const time = report.now ? {} : { after: period.after.toISOString(), before: period.before.toISOString(), zone: zone() };
  const asked = { ...some, ...time };
  const lines = (more) => get(`/reports/${name}`, { ...asked, ...more }, { signal: stop }).then((one) => one.rows);
  const earlier = { after: new Date(2 * period.after - period.before).toISOString(), before: time.after };
  const [totals, before, steps, hours, rows] = await Promise.all([
    lines(),
    report.now ? null : lines(earlier),
    report.chart && stepsOf(period).length > 1 ? lines({ group_by: period.by }) : null,
    report.heat ? lines({ group_by: "hour_of_week" }) : null,
    lines({ group_by: group }),
  ]);
  return { name, report, period, group, asked, totals, before, steps, hours, rows, csv: (more) => href(`/reports/${name}`, { ...asked, ...more, format: "csv" }) };
}

function whole(found) {
  const { report, steps, hours, rows } = found;
  if (!rows.length && !found.totals.some((line) => Object.keys(report.columns).some((one) => line[one]))) {
    return empty({ title: t("reports.nothing"), text: t("reports.nothing_hint"), icon: "chart" });
  }
  return [
    tiles(found),
    h("div", { class: "reports-figures" }, report.spread && spread(found), steps && byTime(found), hours && byHour(found)),
    table(found),
    found.name === "ratings" && answers(found.asked),
  ];
}

const written = (value, format) => (value === null || value === undefined ? "–" : format(value));

function tiles({ report, totals, before }) {
  const tile = ([column, kind]) => {
    const format = report.columns[column];
    const earlier = before && figureOf(before, column, kind);
    return h("div", { class: "reports-tile" },
      h("span", {}, say(column, "figure"), kind && h("small", {}, say(kind, "figure.kind"))),
      h("strong", {}, written(figureOf(totals, column, kind), format)),
      before && h("small", {}, t("reports.before", { value: written(earlier, format) })));
  };
  return h("div", { class: "reports-tiles" }, report.tiles.map(tile));
}

const csvLink = (address, name) => h("a", { class: "reports-csv", href: address, download: name, "aria-label": t("reports.csv_of", { name }) }, icon("download", { size: 16 }), "CSV");

const framed = (node, csv) => h("section", { class: "card reports-card" }, csv, node);

function byTime({ name, report, period, steps, csv }) {
  const { series, ...looks } = report.chart;
  const groups = Map.groupBy(steps, (one) => String(one.group));
  const days = stepsOf(period);
  const linesAt = (key) => groups.get(key) ?? groups.get(key.slice(0, 7)) ?? [];
  const points = days.map(({ at }) => ({ label: date(at, period.by === "month" ? { month: "short" } : { month: "numeric", day: "numeric" }), title: period.by === "month" ? date(at, { month: "long", year: "numeric" }) : date(at) }));
  const drawn = series.map(([column, kind], i) => ({
    text: kind ? t("reports.of", { figure: say(column, "figure"), kind: say(kind, "figure.kind") }) : say(column, "figure"),
    kind: i + 1,
    values: days.map(({ key }) => figureOf(linesAt(key), column, kind) ?? (looks.line ? null : 0)),
  }));
  const title = t("reports.over_time", { by: say(period.by, "reports.by") });
  return framed(chart({ title, points, series: drawn, format: report.columns[series[0][0]], ...looks }), csvLink(csv({ group_by: period.by }), `${name}-${period.by}.csv`));
}

/** How many fall where: ages of what waits, scores that were given. */
function spread({ report, totals }) {
  const values = report.spread.map((column) => figureOf(totals, column) ?? 0);
  const points = report.spread.map((column) => ({ label: say(column, "figure"), title: say(column, "figure") }));
  return framed(chart({ title: t("reports.spread"), points, series: [{ text: t("reports.count"), kind: 1, values }] }));
}

const MONDAY = 1; // of January 2024

function byHour({ name, report, hours, csv }) {
  const known = new Map(hours.map((one) => [Number(one.group), one[report.heat] ?? 0]));
  const rows = Array.from({ length: 7 }, (_, day) => ({
    text: date(new Date(2024, 0, MONDAY + day), { weekday: "short" }),
    values: Array.from({ length: 24 }, (_, hour) => known.get(day * 24 + hour) ?? 0),
  }));
  const title = t("reports.by_hour", { name: say(report.heat, "figure") });
  return framed(heat({ title, rows, columns: Array.from({ length: 24 }, (_, hour) => String(hour)), format: number }), csvLink(csv({ group_by: "hour_of_week" }), `${name}-hours.csv`));
}

/** What a group is called: by its own name, or by the word of the API. */
function groupName(line, by) {
  if (line.group === null) return t("reports.none");
  if (line.name) return line.name;
  if (by === "category") return directory("categories").byId(line.group)?.names?.[language] ?? line.group;
  if (by === "language") return new Intl.DisplayNames(language, { type: "language", fallback: "code" }).of(line.group);
  return say(line.group, by);
}

function table({ name, report, group, rows, csv }) {
  const columns = Object.keys(report.columns);
  const widest = columns.find((one) => report.columns[one] === number);
  const sum = Map.groupBy(rows, (one) => one.group);
  const size = (one) => figureOf(sum.get(one.group), widest) ?? 0;
  const sorted = rows.toSorted((one, other) => size(other) - size(one) || compare(String(one.name ?? one.group), String(other.name ?? other.group)));
  const row = (line$) => {
    const line = line$.peek();
    return h("tr", {},
      h("th", { scope: "row" }, () => groupName(line, group), line.policy && h("small", {}, line.policy)),
      report.kinds && h("td", {}, say(line.kind, "figure.kind")),
      columns.map((one) => h("td", {}, written(line[one], report.columns[one]))));
  };
  const heads = [say(group, "reports.by"), ...(report.kinds ? [t("reports.kind")] : []), ...columns.map((one) => say(one, "figure"))];
  const title = t("reports.by_group", { by: say(group, "reports.by").toLocaleLowerCase(language) });
  return h("section", { class: "card reports-card" }, csvLink(csv({ group_by: group }), `${name}-${group}.csv`), h("h2", {}, title),
    h("div", { class: "sideways", tabindex: "0", role: "group", "aria-label": title },
      h("table", { class: ["table", report.kinds && "with-kinds"] }, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, each(() => sorted, (one) => `${one.group}-${one.kind}-${one.policy_id}`, row)))));
}
