// What a report is about: a time, some inboxes, teams, people, and by what its table is parted. All of it stands in the address.

import { each, h } from "../kernel/dom.js";
import { now, number } from "../kernel/format.js";
import { language, say, t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { popover } from "../kernel/popover.js";
import { here, setQuery } from "../kernel/router.js";
import { signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { dayName, PERIODS, periodOf, REPORTS } from "./figures.js";

export const FILTERS = ["channel", "inbox_id", "team_id", "assignee_id", "category"];
const OWN = "own";
const named = (name) => () => directory(name).list.value.map((one) => ({ id: one.id, text: one.name }));

const CHOICES = {
  channel: () => directory("channels").list.value.map((one) => ({ id: one.name, text: say(one.name, "channel") })),
  inbox_id: named("inboxes"),
  team_id: () => [...named("teams")(), { id: "none", text: t("reports.none") }],
  assignee_id: () => [...named("agents")(), { id: "none", text: t("reports.none") }],
  category: () => directory("categories").list.value.map((one) => ({ id: one.key, text: one.names?.[language] ?? one.key })),
};

const change = (changes) => setQuery(changes, { replace: true });

/** A select whose value is in the address. */
function choice(label, options, value, choose) {
  const option = (one$) => h("option", { value: one$.peek().id, selected: () => value() === one$.value.id }, () => one$.value.text);
  return h("label", { class: "reports-filter" }, h("span", {}, label), h("select", { class: "input", on: { change: (event) => choose(event.target.value, event.target) } }, each(options, (one) => one.id, option)));
}

export function filters(name) {
  const period = () => periodOf(here.value.query, new Date(now()));
  const periods = () => [...PERIODS.map((days) => ({ id: String(days), text: days === 1 ? t("reports.today") : t("reports.days", { n: days }) })), { id: OWN, text: t("reports.own") }];
  const time = h("div", { hidden: () => Boolean(REPORTS[name.value].now) }, choice(t("reports.period"), periods, () => (period().own ? OWN : String(period().days)), (value, select) => (value === OWN ? ownTime(select, period()) : change({ days: value, from: null, to: null }))));
  const one = (filter) => choice(say(filter, "reports.filter"), () => [{ id: "", text: t("reports.any") }, ...CHOICES[filter]()], () => here.value.query.get(filter) ?? "", (value) => change({ [filter]: value || null }));
  const groups = () => REPORTS[name.value].groups.map((id) => ({ id, text: say(id, "reports.by") }));
  const group = () => (REPORTS[name.value].groups.includes(here.value.query.get("by")) ? here.value.query.get("by") : "inbox");
  const clear = button({ text: t("reports.clear"), kind: "quiet", hidden: () => !FILTERS.some((id) => here.value.query.has(id)), run: () => change(Object.fromEntries(FILTERS.map((id) => [id, null]))) });
  // On a phone the figures come first: what else can be chosen is behind a button that counts what is chosen.
  const all = signal(false);
  const chosen = () => FILTERS.filter((id) => here.value.query.has(id)).length;
  const more = button({ text: () => (chosen() ? `${t("reports.more")} (${number(chosen())})` : t("reports.more")), icon: "filter", class: "button phone-only", "aria-expanded": () => String(all.value), run: () => all.update((on) => !on) });
  const rest = h("div", { class: () => ["reports-rest", all.value && "on"] }, FILTERS.map(one), choice(t("reports.group"), groups, group, (value) => change({ by: value })), clear);
  return h("div", { class: "reports-filters", role: "group", "aria-label": t("reports.filters") }, time, more, rest);
}

/** Two days, chosen beside the list of periods. */
function ownTime(select, { after, before }) {
  const day = (label, value) => h("label", { class: "reports-filter" }, h("span", {}, label), h("input", { class: "input", type: "date", value: dayName(value), required: true }));
  const [from, to] = [day(t("reports.from"), after), day(t("reports.to"), new Date(before - 1))];
  const [first, last] = [from, to].map((one) => one.querySelector("input"));
  const check = () => last.setCustomValidity(first.value > last.value ? t("reports.backwards") : last.value > first.value && new Date(last.value) - new Date(first.value) >= 400 * 86_400_000 ? t("reports.too_long") : "");
  const { element, close } = popover(select, () =>
    h("form", { class: "reports-own", on: { input: check, submit: (event) => (event.preventDefault(), change({ from: first.value, to: last.value, days: null }), close()) } }, from, to, button({ text: t("reports.show"), kind: "primary", type: "submit" })),
  );
  element.addEventListener("toggle", (event) => {
    // Chosen and left again: the list says what is shown, not what was not taken.
    if (event.newState === "closed") for (const one of select.options) one.selected = one.value === (periodOf(here.peek().query, new Date(now())).own ? OWN : String(periodOf(here.peek().query, new Date(now())).days));
  });
  first.focus();
}
