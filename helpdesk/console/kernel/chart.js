// Charts, drawn as SVG, with the same figures as a table for whoever reads and does not look.

import { h, s } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";

const WIDTH = 640;
const HEIGHT = 200;
const FOOT = 24;

/** A figure of bars: `rows` are `{label, value, title?}`. */
export function bars({ title, rows, format = number }) {
  const most = Math.max(1, ...rows.map((row) => row.value));
  const step = WIDTH / Math.max(1, rows.length);
  const sparse = Math.ceil(rows.length / 12);
  const bar = (row, at) => {
    const tall = (row.value / most) * (HEIGHT - FOOT - 16);
    const shape = s("rect", { class: "bar", x: at * step + step * 0.12, y: HEIGHT - FOOT - tall, width: step * 0.76, height: Math.max(tall, row.value ? 1 : 0), rx: 2 });
    return s("g", {}, s("title", {}, `${row.title ?? row.label}: ${format(row.value)}`), shape, at % sparse === 0 && s("text", { x: at * step + step / 2, y: HEIGHT - 6 }, row.label));
  };
  return figure(title, s("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, rows.map(bar)), rows, format);
}

function figure(title, drawing, rows, format) {
  const table = h("table", { class: "table" }, h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.title ?? row.label), h("td", {}, format(row.value))))));
  return h("figure", { class: "figure" }, h("figcaption", {}, title), drawing, h("details", {}, h("summary", {}, t("shell.as_table")), table));
}
