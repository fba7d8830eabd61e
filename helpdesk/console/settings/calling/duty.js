// Duty rosters: who is called when, and whom to call when nobody is there.

import { get } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { selectField, textField } from "../../kernel/form.js";
import { date, list, number, zone } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { may } from "../../kernel/session.js";
import { signal, untracked } from "../../kernel/signals.js";
import { directory } from "../../kernel/store.js";
import { choiceField } from "../fields.js";
import { collection, editForm } from "../kit.js";
import { listField, named, pickMany, picks$, text$, words } from "../pick.js";
import { lineOf, spansOf, weekField, zones } from "../week.js";

const PATH = "/duty";
const admin = () => may("admin");
const names = (ids) => list(ids.map((id) => directory("agents").byId(id)?.name ?? "…"));

export function duty() {
  const now = signal(null);
  const ask = () => get(`${PATH}/now`).then((found) => (now.value = found), () => {});
  ask();
  return collection({
    page: "duty",
    from: PATH,
    title: t("settings.duty"),
    hint: [t("duty.hint"), () => now.value && h("span", { class: "duty-now" }, present(now.value))],
    add: admin() ? t("duty.add") : null,
    none: { title: t("duty.none"), text: t("duty.none_text"), icon: "bell" },
    row: (one) => ({
      title: one.name,
      text: one.is_fallback ? names(one.agent_ids) : whose(one),
      badges: one.is_fallback ? [[t("duty.fallback"), "note"]] : [],
    }),
    editor: (item, tools) => {
      const saved = (found) => (ask(), tools.saved(found));
      const removed = () => (ask(), tools.removed());
      return editForm({
        path: PATH,
        item,
        may: admin(),
        removeText: () => t("duty.remove"),
        children: fields(item),
        ...tools,
        saved,
        removed,
      });
    },
  });
}

function present({ agents, fallback }) {
  if (agents.length) return t("duty.now", { names: some(agents) });
  return fallback.length ? t("duty.now_fallback", { names: some(fallback) }) : t("duty.now_nobody");
}

const some = (all) =>
  list([...all.slice(0, 10).map((one) => one.name), ...(all.length > 10 ? [`+${number(all.length - 10)}`] : [])]);

const whose = ({ team_id: id }) => (id ? (directory("teams").byId(id)?.name ?? "") : t("duty.every_team"));

/** Once made, a roster stays one, and the list of those who are called otherwise stays that list. */
function fields(item) {
  const kind = signal(item?.is_fallback ? "fallback" : "roster");
  const choice = selectField({
    name: "is_fallback",
    label: t("duty.kind_label"),
    value: kind,
    options: words(["roster", "fallback"], (one) => say(one, "duty.kind"))(),
  });
  return [
    textField({ name: "name", label: t("calling.name"), value: item?.name ?? "", required: true, autocomplete: "off" }),
    !item && Object.assign(choice, { read: () => kind.peek() === "fallback" }),
    () => (kind.value === "fallback" ? untracked(() => called(item)) : untracked(() => roster(item))),
  ];
}

const called = (item) =>
  pickMany({
    name: "agent_ids",
    label: t("duty.called"),
    hint: t("duty.called_hint"),
    options: named("agents"),
    value: item?.agent_ids ?? [],
  });

const roster = (item) => [
  choiceField({
    name: "team_id",
    label: t("duty.team"),
    value: item?.team_id,
    none: t("duty.every_team"),
    options: named("teams"),
  }),
  textField({
    name: "zone",
    label: t("duty.zone"),
    value: item?.zone ?? zone(),
    list: zones(),
    required: true,
    autocomplete: "off",
  }),
  listField({
    name: "shifts",
    label: t("duty.shifts"),
    hint: t("sentence.week_hint"),
    add: t("duty.add_shift"),
    removeText: t("duty.remove_shift"),
    value: item?.shifts ?? [{ agent_ids: [] }],
    blank: () => ({ agent_ids: [] }),
    line: shift,
  }),
  listField({
    name: "overrides",
    label: t("duty.overrides"),
    hint: t("duty.overrides_hint"),
    most: 1000,
    add: t("duty.add_override"),
    removeText: t("duty.remove_override"),
    value: item?.overrides ?? [],
    blank: () => ({ date: "", agent_ids: [], hours: [] }),
    line: override,
  }),
];

const people = (value) =>
  picks$({ label: t("duty.people"), placeholder: t("duty.people"), options: named("agents"), value });

function shift({ agent_ids: ids, weekly }) {
  const chosen = signal(ids);
  const week = weekField({ name: "weekly", label: t("duty.week"), hint: null, value: weekly });
  return {
    node: h("div", { class: "wide stack" }, people(chosen), week),
    read: () => ({ agent_ids: chosen.peek(), weekly: week.read() }),
  };
}

function override({ date: day, agent_ids: ids, hours }) {
  const [when, chosen, times] = [signal(day), signal(ids), signal(lineOf(hours))];
  const node = [
    text$({
      label: t("duty.date"),
      type: "date",
      value: when,
      title: day && date(`${day}T12:00`, { dateStyle: "full" }),
    }),
    people(chosen),
    text$({ label: t("duty.hours"), value: times, placeholder: t("duty.away"), autocomplete: "off" }),
  ];
  return { node, read: () => ({ date: when.peek(), agent_ids: chosen.peek(), hours: spansOf(times.peek()) }) };
}
