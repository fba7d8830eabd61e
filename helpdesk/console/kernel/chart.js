// Figures, drawn by ourselves: shapes in SVG, words in HTML so that they keep their size, and always the same as a table.

import { signal } from "./signals.js";
import { h, s } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";

const ROOM = 100; // of the drawing, in its own units
const LINES = 4;

const ROUND = [1, 2, 2.5, 5, 10];
const SPANS = [1, 5, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** How much one line of the scale is more than the one below: whole for what is counted, a usual span for seconds. */
export function stepOf(most, unit) {
  const least = most / LINES;
  if (!(least > 0)) return 1;
  if (unit === "seconds") return SPANS.find((one) => one >= least) ?? Math.ceil(least / 86_400) * 86_400;
  const ten = 10 ** Math.floor(Math.log10(least));
  const step = ROUND.find((one) => one * ten >= least) * ten;
  return unit === "count" ? Math.max(1, Math.ceil(step)) : step;
}

/**
 * Values over time. `points` are `{label, title}` in order, `series` `{text, kind, values}` with a value or null for each
 * point; `kind` 1 to 3 is its colour, `unit` count, seconds or share. Bars stand beside each other, or upon each other with `stacked`; `line` draws lines.
 * Arrow keys and the pointer choose a point, whose values are then read in the heading.
 */
export function chart({ title, points, series, format = number, stacked = false, line = false, most, unit = "count" }) {
  const at = signal(null);
  const sums = points.map((_, i) => series.reduce((sum, one) => sum + (one.values[i] ?? 0), 0));
  const top = LINES * stepOf(most ?? Math.max(...(stacked ? sums : series.flatMap((one) => one.values.map((value) => value ?? 0))), 0), unit);
  const step = ROOM / Math.max(1, points.length);
  const tall = (value) => ((value ?? 0) / top) * ROOM;
  const shapes = line ? series.map((one) => path(one, step, tall)) : bars(series, points, step, tall, stacked);
  const plot = h("div", { class: "plot", tabindex: "0", role: "group", "aria-roledescription": t("shell.figure"), "aria-label": title },
    h("div", { class: "plot-scale", "aria-hidden": "true" }, Array.from({ length: LINES + 1 }, (_, i) => h("span", {}, format((top * (LINES - i)) / LINES)))),
    h("div", { class: "plot-room" },
      h("span", { class: "plot-cursor", hidden: () => at.value === null, style: { "--at": () => `${(at.value ?? 0) * step}%`, "--step": `${step}%` } }),
      s("svg", { viewBox: `0 0 ${ROOM} ${ROOM}`, preserveAspectRatio: "none", "aria-hidden": "true" }, shapes)),
    h("div", { class: "plot-foot", "aria-hidden": "true" }, marks(points, step)),
  );
  const room = plot.querySelector(".plot-room");
  const choose = (to) => (at.value = Math.max(0, Math.min(points.length - 1, to)));
  plot.addEventListener("pointermove", (event) => {
    const box = room.getBoundingClientRect();
    choose(Math.floor(((event.clientX - box.left) / box.width) * points.length));
  });
  for (const type of ["pointerleave", "blur"]) plot.addEventListener(type, () => (at.value = null));
  plot.addEventListener("keydown", (event) => {
    const now = at.peek() ?? points.length;
    const to = { ArrowLeft: now - 1, ArrowRight: now >= points.length ? 0 : now + 1, Home: 0, End: points.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
  });
  const legend = h("div", { class: "plot-legend", "aria-live": "polite" },
    h("span", { class: "soft" }, () => (at.value === null ? "" : points[at.value].title)),
    series.map((one) => h("span", { class: `plot-name kind-${one.kind}` }, one.text, () => (at.value === null ? "" : h("b", {}, shown(one.values[at.value], format))))));
  return figure(title, [legend, plot], [t("shell.when"), ...series.map((one) => one.text)], points.map((one, i) => [one.title, ...series.map((of) => shown(of.values[i], format))]));
}

const shown = (value, format) => (value === null || value === undefined ? "–" : format(value));

function bars(series, points, step, tall, stacked) {
  const wide = (step * 0.72) / (stacked ? 1 : series.length);
  return points.flatMap((_, i) => {
    let below = 0;
    return series.map((one, j) => {
      const height = tall(one.values[i]);
      const shape = height > 0 && s("rect", { class: `kind-${one.kind}`, x: i * step + step * 0.14 + (stacked ? 0 : j * wide), y: ROOM - below - height, width: wide, height });
      if (stacked) below += height;
      return shape;
    });
  });
}

/** A line, broken where nothing is known; what stands alone is a short stroke. */
function path(one, step, tall) {
  let drawn = "";
  let pen = false;
  one.values.forEach((value, i) => {
    if (value === null || value === undefined) return void (pen = false);
    const x = i * step + step / 2;
    const y = ROOM - tall(value);
    drawn += pen ? `L${x} ${y}` : `M${x - step * 0.2} ${y}L${x} ${y}`;
    pen = true;
  });
  return s("path", { class: `line kind-${one.kind}`, d: drawn || "M0 0", "vector-effect": "non-scaling-stroke" });
}

const marks = (points, step) => {
  const every = Math.ceil(points.length / 10);
  return points.map((one, i) => i % every === 0 && h("span", { style: { "--at": `${(i + 0.5) * step}%` } }, one.label));
};

function figure(title, drawing, heads, rows) {
  const table = h("table", { class: "table" }, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, rows.map(([name, ...values]) => h("tr", {}, h("th", { scope: "row" }, name), values.map((value) => h("td", {}, value))))));
  return h("figure", { class: "figure" }, h("figcaption", {}, title), drawing, h("details", {}, h("summary", {}, t("shell.as_table")), h("div", { class: "figure-table sideways", tabindex: "0", role: "group", "aria-label": title }, table)));
}

/** A week by its hours, as a table whose grounds tell how much: `rows` are `{text, values}`, `columns` the hours' names. */
export function heat({ title, rows, columns, format = number }) {
  const most = Math.max(1, ...rows.flatMap((row) => row.values));
  const cell = (value) => h("td", { style: { "--part": `${Math.round((value / most) * 45)}%` } }, value ? format(value) : "");
  return h("figure", { class: "figure" }, h("figcaption", {}, title),
    h("div", { class: "heat sideways", tabindex: "0", role: "group", "aria-label": title },
      h("table", {}, h("thead", {}, h("tr", {}, h("td", {}), columns.map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.text), row.values.map(cell)))))));
}
