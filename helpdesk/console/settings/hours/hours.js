// Business hours: the week, holidays, and days that are otherwise. Promises and rules count time by them.

import { get, post } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { checkField, form, textField } from "../../kernel/form.js";
import { list, zone } from "../../kernel/format.js";
import { t } from "../../kernel/i18n.js";
import { badge, button } from "../../kernel/parts.js";
import { may } from "../../kernel/session.js";
import { signal } from "../../kernel/signals.js";
import { attempt } from "../../kernel/toast.js";
import { collection, editForm } from "../kit.js";
import { section } from "../once.js";
import { linesField } from "../fields.js";
import { spansOf, weekField, zones } from "../week.js";

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
      editForm({ path: PATH, item, may: admin(), read: bodyOf(item), removeText: () => t("hours.remove"), children: fields(item), more: item && admin() && [holidays(item, tools), replan(item)], ...tools }),
  });

const fields = (item) => [
  textField({ name: "name", label: t("hours.name"), value: item?.name ?? "", required: true, autocomplete: "off" }),
  textField({ name: "zone", label: t("hours.zone"), hint: t("hours.zone_hint"), value: item?.zone ?? zone(), list: zones(), required: true, autocomplete: "off" }),
  weekField({ name: "weekly", label: t("hours.week"), value: item?.weekly }),
  daysField("holidays", t("hours.holidays"), t("hours.holidays_hint"), item, (one) => `${one.date} ${one.name}`.trim(), ([date, ...name]) => ({ date, name: name.join(" ") })),
  daysField("overrides", t("hours.overrides"), t("hours.overrides_hint"), item, special, ofSpecial),
  daysField("breaks", t("hours.breaks"), t("hours.breaks_hint"), item, special, ofSpecial),
  item?.is_default ? h("p", {}, badge(t("hours.default"), "good")) : checkField({ name: "is_default", label: t("hours.make_default"), value: false }),
];

// The API takes `is_default` to make one the default, and never to take it back: another one is made it.
const bodyOf = (item) => ({ is_default: first, ...rest }) => (first ? { ...rest, is_default: true } : item ? rest : { ...rest, is_default: false });

const special = ({ date, hours, name }) => [date, hours.map((one) => one.join("-")).join(",") || "-", name].join(" ").trim();
const ofSpecial = ([date, hours = "", ...name]) => ({ date, hours: hours === "-" ? [] : spansOf(hours), name: name.join(" ") });

/** Days as lines of text: quick to paste, to read over and to mend. */
function daysField(name, label, hint, item, said, meant) {
  const node = linesField({ name, label, hint, rows: Math.min(8, Math.max(2, item?.[name]?.length ?? 0)), value: (item?.[name] ?? []).map(said), spellcheck: "false" });
  const lines = node.read;
  return Object.assign(node, { read: () => lines().map((one) => meant(one.split(/\s+/))) });
}

/** Holidays of a country, looked at before they are taken. */
function holidays(item, { saved }) {
  const found = signal(null);
  const year = new Date().getFullYear();
  const ask = (values, dry) => ({ source: "library", country: values.country.trim().toUpperCase(), ...(values.subdivision.trim() ? { subdivision: values.subdivision.trim().toUpperCase() } : {}), years: values.years.split(/[^\d]+/).filter(Boolean).map(Number), dry_run: dry });
  const look = async (values) => (found.value = { answer: await post(`${PATH}/${item.id}/holidays`, ask(values, true)), values });
  const take = async () => {
    const done = await attempt(post(`${PATH}/${item.id}/holidays`, ask(found.peek().values, false)), { done: t("hours.taken") });
    if (done) await saved(await get(`${PATH}/${item.id}`));
  };
  const told = () => {
    if (!found.value) return null;
    const { holidays: days, present } = found.value.answer;
    if (!days.length) return h("p", { role: "status" }, t("hours.nothing_new", { n: present }));
    return [h("p", { role: "status" }, list(days.map((one) => `${one.date} ${one.name}`))), h("div", { class: "row" }, button({ text: t("hours.take"), kind: "primary", run: take }))];
  };
  const inputs = [
    textField({ name: "country", label: t("hours.country"), hint: t("hours.country_hint"), required: true, autocomplete: "off" }),
    textField({ name: "subdivision", label: t("hours.subdivision"), autocomplete: "off" }),
    textField({ name: "years", label: t("hours.years"), value: `${year} ${year + 1}`, autocomplete: "off" }),
  ];
  return section(t("hours.library"), form({ send: look, children: h("div", { class: "pair" }, inputs), buttons: button({ text: t("hours.look"), type: "submit" }) }), told);
}

function replan(item) {
  const run = () => attempt(post(`${PATH}/${item.id}/replan`), { done: t("hours.replanning") });
  return section(t("hours.replan"), h("p", { class: "soft" }, t("hours.replan_hint")), h("div", { class: "row" }, button({ text: t("hours.replan_now"), icon: "refresh", run })));
}
