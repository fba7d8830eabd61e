// A week of opening times, one line a day as it is said: "09:00-12:00, 13:00-18:00"; nothing is closed.

import { h } from "../kernel/dom.js";
import { weekday } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { signal } from "../kernel/signals.js";

const MONDAY = Date.UTC(2024, 0, 1, 12); // a Monday, for the names of the days
const SPAN = /^(\d{1,2}):?(\d{2})?\s*[-–—~至到]\s*(\d{1,2}):?(\d{2})?$/;
const pad = (text) => String(text ?? "0").padStart(2, "0");

/** Spans out of a line; what is no span stays as it is, and the API says so. */
export const spansOf = (line) =>
  line
    .split(/[,，;；]/)
    .map((one) => one.trim())
    .filter(Boolean)
    .map((one) => {
      const [, from, fromMinute, to, toMinute] = SPAN.exec(one) ?? [];
      return from ? [`${pad(from)}:${pad(fromMinute)}`, `${pad(to)}:${pad(toMinute)}`] : [one, ""];
    });
export const lineOf = (spans) => spans.map((one) => one.join("-")).join(", ");

/** The field of a week, Monday first. */
export function weekField({ name, label, hint = t("sentence.week_hint"), value }) {
  const wrong = signal("");
  const given = value ?? [...Array(5).fill([["09:00", "18:00"]]), [], []];
  const inputs = given.map((spans, at) => {
    const day = weekday(MONDAY + at * 86_400_000, "long");
    return h(
      "label",
      { class: "week-day" },
      h("span", {}, day),
      h("input", {
        class: "input",
        value: lineOf(spans),
        placeholder: t("sentence.closed"),
        inputmode: "text",
        autocomplete: "off",
      }),
    );
  });
  const boxes = inputs.map((one) => one.querySelector("input"));
  const copy = () => {
    for (const one of boxes.slice(1, 5)) one.value = boxes[0].value;
    boxes[0].dispatchEvent(new Event("change", { bubbles: true }));
  };
  const said = h("p", { class: "error", role: "alert" }, () => wrong.value);
  const node = h(
    "div",
    { class: "field", role: "group", "aria-label": label, data: { field: name } },
    h("span", { class: "field-name" }, label),
    h("p", { class: "hint" }, hint),
    inputs,
    h("div", { class: "row" }, button({ text: t("sentence.as_monday"), kind: "quiet", run: copy })),
    said,
  );
  return Object.assign(node, {
    input: boxes[0],
    read: () => boxes.map((one) => spansOf(one.value)),
    wrong: (text) => (wrong.value = text),
  });
}

/** The control of a time zone: any that the browser knows, found by typing. */
export function zones() {
  const id = "zones";
  if (!document.getElementById(id))
    document.body.append(
      h(
        "datalist",
        { id },
        Intl.supportedValuesOf("timeZone").map((one) => h("option", { value: one })),
      ),
    );
  return id;
}
