// Filters: all of them stand in the address, each as a word that can be changed or taken out.

import { each, h } from "../kernel/dom.js";
import { list as listed } from "../kernel/format.js";
import { language, say, t } from "../kernel/i18n.js";
import { button, chip } from "../kernel/parts.js";
import { menu, popover } from "../kernel/popover.js";
import { go, here, setQuery } from "../kernel/router.js";
import { may } from "../kernel/session.js";
import { computed, signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { asked, FILTERS, queryOf } from "./asking.js";
import { SORT_NAMES } from "./order.js";

const SEARCHED = 8; // options, from which on one may type to find one
const words = (prefix, all) => () => all.map((id) => ({ id, text: say(id, prefix) }));
const named = (name, first = () => []) => () => [...first(), ...directory(name).list.value.filter((one) => one.active !== false).map((one) => ({ id: one.id, text: one.name }))];

/** What can be filtered by, and what there is to choose. */
const CHOICES = {
  status: words("status", ["open", "pending", "snoozed", "resolved", "closed"]),
  channel: () => directory("channels").list.value.map((one) => ({ id: one.name, text: say(one.name, "channel") })),
  inbox_id: named("inboxes"),
  assignee_id: named("agents", () => [{ id: "me", text: t("inbox.me") }, { id: "none", text: t("inbox.nobody") }]),
  team_id: named("teams", () => [{ id: "none", text: t("inbox.no_team") }]),
  priority: words("priority", ["urgent", "high", "normal", "low"]),
  category: () => directory("categories").list.value.map((one) => ({ id: one.key, text: one.names?.[language] ?? one.key })),
  tag: () => directory("tags").list.value.map((one) => ({ id: one.name, text: one.name })),
  sla: words("sla", ["due_soon", "breached", "paused"]),
};

const wordFor = (name) => say(name, "inbox.filter");
const given = (name) => here.value.query.getAll(name);

function shownAs(name) {
  const values = given(name);
  if (name === "q") return t("inbox.filter_text", { text: values[0] });
  if (name === "contact_id") return wordFor(name);
  const known = new Map(CHOICES[name]().map((one) => [one.id, one.text]));
  const texts = values.map((id) => known.get(id) ?? id);
  return t("inbox.filter_is", { name: wordFor(name), values: texts.length > 2 ? t("inbox.several", { n: texts.length }) : listed(texts, "disjunction") });
}

/** The button that adds a filter. */
export function filterButton() {
  const made = button({ icon: "filter", label: t("inbox.filter_by"), kind: "quiet", "aria-haspopup": "menu", run: () => openFilters(made) });
  return made;
}

export function openFilters(beside) {
  const entry = (name) => ({ text: wordFor(name), checked: here.peek().query.has(name), run: () => pick(beside, name) });
  const taking = may("supervisor") ? ["-", { text: t("inbox.export"), icon: "download", run: exportList }] : [];
  menu(beside, [...[...Object.keys(CHOICES), "q"].map(entry), ...taking]);
}

/** To the page that makes a file of what this list shows. */
export function exportList() {
  const { limit, sort, ...rest } = asked(here.peek().params.view, here.peek().query);
  const query = Object.entries(rest).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  go(`/settings/exports?${new URLSearchParams(query)}`);
}

/** The button that chooses the order. */
export function sortButton() {
  const made = button({ icon: "sort", label: t("inbox.sort_by"), kind: "quiet", "aria-haspopup": "menu", run: () => {
    const base = queryOf(here.peek().params.view);
    const first = base.sort ?? directory("views").byId(base.view_id)?.sort ?? SORT_NAMES[0];
    const now = here.peek().query.get("sort") ?? first;
    menu(made, SORT_NAMES.map((name) => ({ text: say(name, "inbox.sort"), checked: name === now, run: () => setQuery({ sort: name === first ? null : name }, { replace: true }) })));
  } });
  return made;
}

/** The filters of the address as chips, with one that takes all of them out. */
export function filterChips({ save }) {
  const active = computed(() => FILTERS.filter((name) => here.value.query.has(name)).join(" "));
  const names = () => active.value.split(" ").filter(Boolean);
  const clear = () => setQuery(Object.fromEntries(FILTERS.map((name) => [name, null])), { replace: true });
  const one = (name$) => {
    const name = name$.peek();
    const run = name === "contact_id" ? undefined : (event) => pick(event.currentTarget, name);
    return chip({ text: () => (given(name).length ? shownAs(name) : ""), on: true, run, remove: () => setQuery({ [name]: null }, { replace: true }) });
  };
  return () =>
    active.value &&
    h("div", { class: "inbox-chips", role: "group", "aria-label": t("inbox.filters") }, each(names, (name) => name, one), button({ text: t("inbox.clear_filters"), kind: "quiet tiny", run: clear }), !names().includes("q") && button({ text: t("inbox.save_view"), kind: "quiet tiny", run: save }));
}

/** Choose the values of one filter beside a button; each choice counts at once. */
function pick(beside, name) {
  if (name === "q") return typeText(beside);
  const wanted = signal("");
  const choose = (id, on) => setQuery({ [name]: on ? [...here.peek().query.getAll(name), id] : here.peek().query.getAll(name).filter((one) => one !== id) }, { replace: true });
  const fits = () => CHOICES[name]().filter((one) => one.text.toLowerCase().includes(wanted.value.trim().toLowerCase()));
  const option = (one$) =>
    h("label", { class: "inbox-option" }, h("input", { type: "checkbox", checked: () => given(name).includes(one$.value.id), on: { change: (event) => choose(one$.peek().id, event.target.checked) } }), h("span", { class: "cut" }, () => one$.value.text));
  const search = h("input", { class: "input", type: "search", "aria-label": t("inbox.find_option"), placeholder: t("inbox.find_option"), hidden: () => CHOICES[name]().length <= SEARCHED, on: { input: () => (wanted.value = search.value) } });
  const { element } = popover(beside, () => h("fieldset", { class: "inbox-options" }, h("legend", {}, wordFor(name)), search, h("div", { class: "inbox-choices" }, each(fits, (one) => one.id, option)), () => fits().length === 0 && h("p", { class: "soft" }, t("inbox.no_options"))));
  element.querySelector("input:not([hidden])")?.focus();
}

function typeText(beside) {
  const input = h("input", { class: "input", type: "search", name: "q", "aria-label": wordFor("q"), placeholder: wordFor("q"), value: here.peek().query.get("q") ?? "" });
  const shown = popover(beside, (close) =>
    h("form", { class: "row", on: { submit: (event) => (event.preventDefault(), setQuery({ q: input.value.trim() || null }, { replace: true }), close()) } }, input, button({ text: t("inbox.apply"), kind: "primary", type: "submit" })),
  );
  shown.element.querySelector("input").focus();
}
