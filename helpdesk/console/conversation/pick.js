// Small choices beside a button: whom, until when, which tags.

import { combobox } from "../kernel/combobox.js";
import { dialog } from "../kernel/dialog.js";
import { compare, dateTime, now, weekday, time } from "../kernel/format.js";
import { textField } from "../kernel/form.js";
import { h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { button, chip } from "../kernel/parts.js";
import { menu, popover } from "../kernel/popover.js";
import { me } from "../kernel/session.js";
import { signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";

const begins = (text, wanted) => text.toLowerCase().includes(wanted.trim().toLowerCase());

function chooser(beside, { label, find, choose, above = null }) {
  const shown = popover(beside, (close) => {
    const box = combobox({ label, find, choose: (item) => choose(item, close), open: true, placeholder: label });
    return h("div", { class: "conversation-pick" }, above, box);
  });
  shown.element.querySelector("input").focus();
  return shown;
}

/** Choose an agent, or nobody (null). */
export function pickAssignee(beside, choose) {
  const agents = directory("agents");
  const mine = me.peek()?.id;
  const find = async (wanted) => {
    await agents.ready;
    const others = agents.list.peek().filter((one) => one.active !== false && one.kind !== "bot" && one.id !== mine);
    const all = [
      { id: mine, text: t("conversation.to_me") },
      { id: "", text: t("conversation.nobody") },
      ...others.map(({ id, name }) => ({ id, text: name })).sort((one, other) => compare(one.text, other.text)),
    ];
    return all.filter((one) => begins(one.text, wanted)).slice(0, 50);
  };
  return chooser(beside, { label: t("conversation.assign"), find, choose: (item, close) => (close(), choose(item.id || null, item.id === mine ? me.peek().name : item.text)) });
}

/** Choose a team, or none (null). */
export function pickTeam(beside, choose) {
  const teams = directory("teams");
  const find = async (wanted) => {
    await teams.ready;
    const all = [{ id: "", text: t("conversation.no_team") }, ...teams.list.peek().map(({ id, name }) => ({ id, text: name }))];
    return all.filter((one) => begins(one.text, wanted)).slice(0, 50);
  };
  return chooser(beside, { label: t("conversation.team"), find, choose: (item, close) => (close(), choose(item.id || null, item.text)) });
}

/** Change tags: `choose(tags)` is called with the whole list when it is closed, if it is another one. */
export function pickTags(beside, before, choose) {
  const tags = signal([...before]);
  const known = directory("tags");
  const find = async (wanted) => {
    await known.ready;
    const name = wanted.trim();
    const all = known.list.peek().map((one) => one.name).filter((one) => begins(one, wanted) && !tags.peek().includes(one)).slice(0, 20);
    const fresh = name && !all.includes(name) && !tags.peek().includes(name) ? [{ id: `new ${name}`, text: t("conversation.tag_new", { name }), name }] : [];
    return [...all.map((one) => ({ id: one, text: one, name: one })), ...fresh];
  };
  const above = h("div", { class: "row wrap" }, () => tags.value.map((name) => chip({ text: name, remove: () => tags.update((all) => all.filter((one) => one !== name)) })));
  const shown = chooser(beside, {
    label: t("conversation.tags"),
    find,
    above,
    choose: ({ name }) => {
      tags.update((all) => (all.includes(name) ? all : [...all, name]));
      const input = shown.element.querySelector("input");
      input.value = "";
      input.dispatchEvent(new Event("input"));
    },
  });
  shown.element.addEventListener("toggle", (event) => {
    const same = tags.peek().length === before.length && tags.peek().every((one, at) => one === before[at]);
    if (event.newState === "closed" && !same) choose(tags.peek());
  });
  return shown;
}

const at = (days, hour) => {
  const when = new Date(now());
  when.setDate(when.getDate() + days);
  when.setHours(hour, 0, 0, 0);
  return when;
};

/** Choose when a snoozed conversation comes back; an ISO time. */
export function pickSnooze(beside, choose) {
  const today = new Date(now());
  const monday = (8 - today.getDay()) % 7 || 7;
  const times = [
    [t("conversation.in_an_hour"), new Date(now() + 3_600_000)],
    [t("conversation.in_three_hours"), new Date(now() + 3 * 3_600_000)],
    today.getHours() < 16 && [t("conversation.this_evening"), at(0, 18)],
    [t("conversation.tomorrow"), at(1, 9)],
    monday > 1 && [t("conversation.next_monday"), at(monday, 9)],
    [t("conversation.in_a_week"), at(7, 9)],
  ].filter(Boolean);
  const entry = ([text, when]) => ({ text: `${text} · ${weekday(when)} ${time(when)}`, run: () => choose(when.toISOString()) });
  return menu(beside, [...times.map(entry), "-", { text: t("conversation.another_time"), icon: "clock", run: async () => {
    const chosen = await askTime();
    if (chosen) choose(chosen);
  } }]);
}

function askTime() {
  const local = (when) => new Date(when.getTime() - when.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  const wanted = signal(local(at(1, 9)));
  const value = () => new Date(wanted.value);
  const good = () => !Number.isNaN(value().getTime()) && value() > now();
  return dialog({
    title: t("conversation.snooze"),
    body: () => [
      textField({ label: t("conversation.until"), type: "datetime-local", value: wanted, min: local(new Date(now())), autofocus: true }),
      h("p", { class: "soft", role: "status" }, () => (good() ? dateTime(value()) : t("conversation.time_over"))),
    ],
    actions: (close) => [button({ text: t("shell.cancel"), run: () => close() }), button({ text: t("conversation.snooze"), kind: "primary", disabled: () => !good(), run: () => close(value().toISOString()) })],
  });
}
