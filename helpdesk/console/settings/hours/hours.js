// Business hours: the week, holidays, and days that are otherwise. Promises and rules count time by them.

import { get, post } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { checkField, form, selectField, textField } from "../../kernel/form.js";
import { date, list, now, zone } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { badge, button } from "../../kernel/parts.js";
import { may } from "../../kernel/session.js";
import { signal } from "../../kernel/signals.js";
import { attempt } from "../../kernel/toast.js";
import { collection, editForm } from "../kit.js";
import { section } from "../once.js";
import { linesField } from "../fields.js";
import { words } from "../pick.js";
import { versions } from "../versions.js";
import { lineOf, spansOf, weekField, zones } from "../week.js";

const PATH = "/business-hours";
const admin = () => may("admin");

export const view = () =>
  collection({
    page: "hours",
    from: PATH,
    whole: true,
    title: t("hours.title"),
    hint: t("hours.hint"),
    add: admin() ? t("hours.add") : null,
    none: { title: t("hours.none"), text: t("hours.none_text"), icon: "clock" },
    row: (one) => ({ title: one.name, text: one.zone, badges: one.is_default ? [[t("hours.default"), "good"]] : [] }),
    editor: (item, tools) =>
      editForm({
        path: PATH,
        item,
        may: admin(),
        read: bodyOf(item),
        removeText: () => t("hours.remove"),
        children: fields(item),
        more: item && beside(item, tools),
        ...tools,
      }),
  });

const fields = (item) => [
  textField({ name: "name", label: t("hours.name"), value: item?.name ?? "", required: true, autocomplete: "off" }),
  textField({
    name: "zone",
    label: t("hours.zone"),
    hint: t("hours.zone_hint"),
    value: item?.zone ?? zone(),
    list: zones(),
    required: true,
    autocomplete: "off",
  }),
  weekField({ name: "weekly", label: t("hours.week"), value: item?.weekly }),
  daysField(
    "holidays",
    t("hours.holidays"),
    t("hours.holidays_hint"),
    item,
    (one) => `${one.date} ${one.name}`.trim(),
    ([date, ...name]) => ({ date, name: name.join(" ") }),
  ),
  daysField("overrides", t("hours.overrides"), t("hours.overrides_hint"), item, special, ofSpecial),
  daysField("breaks", t("hours.breaks"), t("hours.breaks_hint"), item, special, ofSpecial),
  item?.is_default
    ? h("p", {}, badge(t("hours.default"), "good"))
    : checkField({ name: "is_default", label: t("hours.make_default"), value: false }),
];

// The API takes `is_default` to make one the default, and never to take it back: another one is made it.
const bodyOf =
  (item) =>
  ({ is_default: first, ...rest }) =>
    first ? { ...rest, is_default: true } : item ? rest : { ...rest, is_default: false };

const special = ({ date, hours, name }) =>
  [date, hours.map((one) => one.join("-")).join(",") || "-", name].join(" ").trim();
const ofSpecial = ([date, hours = "", ...name]) => ({
  date,
  hours: hours === "-" ? [] : spansOf(hours),
  name: name.join(" "),
});

/** Days as lines of text: quick to paste, to read over and to mend. */
function daysField(name, label, hint, item, said, meant) {
  const node = linesField({
    name,
    label,
    hint,
    rows: Math.min(8, Math.max(2, item?.[name]?.length ?? 0)),
    value: (item?.[name] ?? []).map(said),
    spellcheck: "false",
  });
  const lines = node.read;
  return Object.assign(node, { read: () => lines().map((one) => meant(one.split(/\s+/))) });
}

const beside = (item, tools) => [
  coming(item),
  admin() && [holidays(item, tools), replan(item)],
  versions({
    path: PATH,
    item,
    fields,
    tools,
    may: admin(),
    read: (one) => get(`${PATH}/${item.id}/versions/${one.version}`),
  }),
];

/** The next days that are not as the week is. */
function coming(item) {
  const today = new Date(now()).toLocaleDateString("sv", { timeZone: item.zone }); // as 2026-01-31
  const other = new Set(item.overrides.map((one) => one.date));
  const days = [...item.holidays.filter((one) => !other.has(one.date)), ...item.overrides]
    .filter((one) => one.date >= today)
    .toSorted((one, two) => (one.date < two.date ? -1 : 1));
  const row = ({ date: day, name, hours = [] }) => {
    const times = hours.length ? badge(lineOf(hours), "note") : badge(t("sentence.closed"));
    return h(
      "li",
      {},
      h("span", { class: "hours-day" }, date(`${day}T12:00`, { dateStyle: "full" })),
      h("span", { class: "grow" }, name),
      times,
    );
  };
  const year = Number(today.slice(0, 4)) + 1;
  const unknown =
    item.holiday_years && !item.holiday_years.includes(year) && h("p", { class: "hint" }, t("hours.unknown", { year }));
  return section(
    t("hours.coming"),
    days.length
      ? h("ul", { class: "plain-rows" }, days.slice(0, 10).map(row))
      : h("p", { class: "soft" }, t("hours.coming_none")),
    unknown,
  );
}

/** Holidays of a country or out of a file, looked at before they are taken. */
function holidays(item, { saved }) {
  const found = signal(null);
  const source = signal("library");
  const year = new Date().getFullYear();
  const said = ({ source: kind, country, subdivision, years, as, containing, lacking }) => {
    const place = as
      ? { as, ...(containing ? { containing } : {}), ...(lacking ? { lacking } : {}) }
      : {
          country: country.trim().toUpperCase(),
          ...(subdivision.trim() ? { subdivision: subdivision.trim().toUpperCase() } : {}),
        };
    return {
      source: kind,
      ...place,
      ...(years.trim()
        ? {
            years: years
              .split(/[^\d]+/)
              .filter(Boolean)
              .map(Number),
          }
        : {}),
    };
  };
  const send = (body, dry) => post(`${PATH}/${item.id}/holidays`, { ...body, dry_run: dry });
  const look = async (values, element) => {
    found.value = null;
    const file = element.querySelector("[type=file]")?.files[0];
    const body = { ...said(values), ...(values.as ? { text: (await file?.text()) ?? "" } : {}) };
    found.value = { answer: await send(body, true), body };
  };
  const take = async () => {
    const done = await attempt(send(found.peek().body, false), { done: t("hours.taken") });
    if (done) await saved(await get(`${PATH}/${item.id}`));
  };
  const told = () => {
    if (!found.value) return null;
    const { holidays: days, overrides, present } = found.value.answer;
    const all = [...days, ...overrides];
    if (!all.length) return h("p", { role: "status" }, t("hours.nothing_new", { n: present }));
    return [
      h("p", { role: "status" }, list(all.map((one) => `${one.date} ${one.name}`.trim()))),
      h("div", { class: "row" }, button({ text: t("hours.take"), kind: "primary", run: take })),
    ];
  };
  const years = (hint) =>
    textField({ name: "years", label: t("hours.years"), hint, value: `${year} ${year + 1}`, autocomplete: "off" });
  const library = () => [
    textField({
      name: "country",
      label: t("hours.country"),
      hint: t("hours.country_hint"),
      required: true,
      autocomplete: "off",
    }),
    textField({ name: "subdivision", label: t("hours.subdivision"), autocomplete: "off" }),
    years(),
  ];
  const file = () => [
    textField({
      name: "text",
      label: t("hours.file"),
      hint: t("hours.file_hint"),
      type: "file",
      accept: ".ics,text/calendar",
    }),
    selectField({
      name: "as",
      label: t("hours.as"),
      value: "holidays",
      options: words(["holidays", "working_days"], (one) => say(one, "hours.as_kind"))(),
    }),
    textField({
      name: "containing",
      label: t("hours.containing"),
      hint: t("hours.containing_hint"),
      autocomplete: "off",
    }),
    textField({ name: "lacking", label: t("hours.lacking"), hint: t("hours.containing_hint"), autocomplete: "off" }),
    years(t("hours.years_hint")),
  ];
  const from = selectField({
    name: "source",
    label: t("hours.source"),
    value: source,
    options: words(["library", "icalendar"], (one) => say(one, "hours.source_kind"))(),
  });
  return section(
    t("hours.import"),
    form({
      send: look,
      children: [from, () => h("div", { class: "pair" }, source.value === "library" ? library() : file())],
      buttons: button({ text: t("hours.look"), type: "submit" }),
    }),
    told,
  );
}

function replan(item) {
  const run = () => attempt(post(`${PATH}/${item.id}/replan`), { done: t("hours.replanning") });
  return section(
    t("hours.replan"),
    h("p", { class: "soft" }, t("hours.replan_hint")),
    h("div", { class: "row" }, button({ text: t("hours.replan_now"), icon: "refresh", run })),
  );
}
