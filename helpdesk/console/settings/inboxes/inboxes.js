// Inboxes: where messages come in and answers leave, each of one channel.

import { get, post } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { checkField, textField } from "../../kernel/form.js";
import { icon } from "../../kernel/icons.js";
import { say, t } from "../../kernel/i18n.js";
import { skeleton } from "../../kernel/parts.js";
import { here } from "../../kernel/router.js";
import { computed, untracked } from "../../kernel/signals.js";
import { directory } from "../../kernel/store.js";
import { on } from "../../kernel/stream.js";
import { choiceField } from "../fields.js";
import { collection, editForm } from "../kit.js";
import { pickMany } from "../pick.js";
import { trialCard } from "./check.js";
import { settingsFields, understand } from "./fields.js";
import { beside, heading, stateOf } from "./health.js";

const ICONS = { email: "mail", chat: "chat", telegram: "send", x: "note", facebook: "people", instagram: "eye" };
const iconOf = (channel) => ICONS[channel] ?? "inbox";
const named = (name) => () => directory(name).list.value.map(({ id, name: text }) => ({ id, text }));

export function view() {
  let made = null;
  return collection({
    page: "inboxes",
    from: "/inboxes",
    names: "inboxes",
    title: t("inboxes.title"),
    hint: t("inboxes.hint"),
    add: t("inboxes.add"),
    none: { title: t("inboxes.none"), text: t("inboxes.none_text"), icon: "inbox" },
    row: (item) => ({
      title: item.name,
      text: item.handle,
      icon: iconOf(item.channel),
      badges: item.state === "paused" || item.failing_since ? [stateOf(item)] : [],
    }),
    live: follow,
    editor: (item, tools) => {
      if (!item) return beginning({ ...tools, saved: (found) => ((made = found.id), tools.saved(found)) });
      const fresh = made === item.id;
      made = null;
      return editor(item, tools, { fresh });
    },
  });
}

/** What the stream tells of inboxes that fail and work again. */
function follow(put) {
  const again = ({ data }) => get(`/inboxes/${data.inbox_id}`).then(put, () => {});
  on("inbox.failing", again);
  on("inbox.recovered", again);
}

/** First the channel, then its settings. The channel stands in the address, so that a step back leads to the choice. */
function beginning(tools) {
  const channels = directory("channels").list;
  const wanted = computed(() => channels.value.find((one) => one.name === here.value.query.get("channel")));
  const choice = ({ name, title }) =>
    h(
      "a",
      { class: "card inboxes-channel", href: `/settings/inboxes/new?channel=${name}` },
      icon(iconOf(name), { size: 24 }),
      h(
        "span",
        {},
        h("strong", {}, say(name, "channel") === name ? title : say(name, "channel")),
        h("span", { class: "hint" }, say(name, "inboxes.about")),
      ),
    );
  const choose = () => [
    h("h2", { class: "settings-heading", tabindex: "-1", data: { focus: true } }, t("inboxes.which")),
    channels.value.length ? h("div", { class: "inboxes-channels" }, channels.value.map(choice)) : skeleton(3),
  ];
  return h("div", {}, () => (wanted.value ? untracked(() => whole(null, wanted.value, tools, false)) : choose()));
}

function editor(item, tools, { fresh }) {
  const channels = directory("channels").list;
  return h("div", {}, () => {
    const found = channels.value.find((one) => one.name === item.channel);
    return found ? untracked(() => whole(item, found, tools, fresh)) : skeleton(4);
  });
}

function whole(item, channel, tools, fresh) {
  const settings = settingsFields({
    channel: channel.name,
    schema: channel.config_schema,
    values: item?.settings,
    secrets: item?.secrets ?? [],
  });
  const name = textField({
    name: "name",
    label: t("inboxes.name"),
    hint: t("inboxes.name_hint"),
    value: item?.name ?? "",
    required: true,
    autocomplete: "off",
  });
  const ask = () =>
    post("/inboxes/check", {
      channel: channel.name,
      settings: settings.read(),
      ...(item ? { inbox_id: item.id } : {}),
    });
  return editForm({
    path: "/inboxes",
    item,
    merged: ["settings"],
    understand,
    heading: item
      ? (hand) => heading(hand.item, hand)
      : h("h2", { class: "settings-heading", tabindex: "-1", data: { focus: true } }, say(channel.name, "inboxes.new")),
    children: [name, settings.nodes, trialCard(ask, { at: fresh }), common(item, channel)],
    read: (values) => bodyOf(values, settings.read(), item, channel),
    removeText: () => t("inboxes.remove"),
    more: item && beside(item),
    ...tools,
  });
}

/** What all channels have: who works in it, and what is promised there. */
function common(item, channel) {
  const letters = directory("channels")
    .list.peek()
    .filter((one) => one.capabilities.letters)
    .map((one) => one.name);
  const continued = () =>
    directory("inboxes")
      .list.value.filter((one) => letters.includes(one.channel))
      .map(({ id, name: text }) => ({ id, text }));
  return h(
    "fieldset",
    { class: "settings-group" },
    h("legend", {}, t("inboxes.work")),
    choiceField({
      name: "team_id",
      label: t("inboxes.team"),
      hint: t("inboxes.team_hint"),
      value: item?.team_id,
      none: t("inboxes.no_team"),
      options: named("teams"),
    }),
    pickMany({
      name: "member_ids",
      label: t("inboxes.members"),
      hint: t("inboxes.members_hint"),
      value: item?.member_ids ?? [],
      options: () =>
        directory("agents")
          .list.value.filter((one) => one.active !== false)
          .map(({ id, name: text }) => ({ id, text })),
    }),
    choiceField({
      name: "business_hours_id",
      label: t("inboxes.hours"),
      value: item?.business_hours_id,
      none: t("inboxes.by_default"),
      options: named("business-hours"),
    }),
    choiceField({
      name: "sla_policy_id",
      label: t("inboxes.policy"),
      value: item?.sla_policy_id,
      none: t("inboxes.by_order"),
      options: named("sla-policies"),
    }),
    channel.capabilities.live &&
      choiceField({
        name: "continued_by_id",
        label: t("inboxes.continued"),
        hint: t("inboxes.continued_hint"),
        value: item?.continued_by_id,
        none: t("inboxes.not_continued"),
        options: continued,
      }),
    checkField({ name: "rating", label: t("inboxes.rating"), value: item?.rating === "on" }),
    checkField({
      name: "integration_replies_count",
      label: t("inboxes.bots_count"),
      value: item?.integration_replies_count === "on",
    }),
  );
}

const onOff = (value) => (value ? "on" : "off");

function bodyOf(values, settings, item, channel) {
  const own = Object.fromEntries(Object.entries(values).filter(([name]) => !name.startsWith("settings.")));
  const body = {
    ...own,
    settings,
    rating: onOff(own.rating),
    integration_replies_count: onOff(own.integration_replies_count),
  };
  return item ? body : { channel: channel.name, ...body };
}
