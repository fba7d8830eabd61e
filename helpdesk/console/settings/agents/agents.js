// The people of the desk: who they are, what they may do, and how they come in.

import { checkField, selectField, textField } from "../../kernel/form.js";
import { LANGUAGES, say, t } from "../../kernel/i18n.js";
import { h } from "../../kernel/dom.js";
import { may, me } from "../../kernel/session.js";
import { numberField } from "../fields.js";
import { categoryOptions } from "../filter-fields.js";
import { collection, editForm } from "../kit.js";
import { chipsField, groupField, pickMany, words } from "../pick.js";
import { access } from "./access.js";

const admin = () => may("admin");
const languages = () => Object.entries(LANGUAGES).map(([id, text]) => ({ id, text }));

export const view = () =>
  collection({
    page: "agents",
    from: "/agents",
    names: "agents",
    title: t("agents.title"),
    hint: t("agents.hint"),
    add: admin() ? t("agents.add") : null,
    none: { title: t("agents.none"), icon: "people" },
    row: (one) => ({ title: one.name, text: one.email, badges: badges(one) }),
    editor: (item, tools) =>
      editForm({
        path: "/agents",
        item,
        may: may("supervisor"),
        removable: admin() && item?.id !== me.peek().id,
        removeText: () => t("agents.remove"),
        children: [person(item), work(item)],
        more: item && admin() && access(item, tools),
        ...tools,
      }),
  });

const badges = (one) => [
  ...(one.active ? [] : [[t("agents.inactive"), "bad"]]),
  ...(one.active && !one.joined ? [[t("agents.not_joined"), "warn"]] : []),
  ...(one.role === "agent" ? [] : [[say(one.role, "role")]]),
];

const person = (item) =>
  h(
    "fieldset",
    { class: "stack settings-fields", disabled: !admin() },
    textField({
      name: "name",
      label: t("agents.name"),
      hint: t("agents.name_hint"),
      value: item?.name ?? "",
      required: true,
      autocomplete: "off",
    }),
    textField({
      name: "email",
      label: t("agents.email"),
      type: "email",
      value: item?.email ?? "",
      required: true,
      autocomplete: "off",
    }),
    selectField({
      name: "role",
      label: t("agents.role"),
      hint: t("agents.role_hint"),
      value: item?.role ?? "agent",
      options: words(["agent", "supervisor", "admin"], (one) => say(one, "role"))(),
    }),
    selectField({ name: "locale", label: t("agents.locale"), value: item?.locale ?? "en", options: languages() }),
    item &&
      checkField({ name: "active", label: t("agents.active"), hint: t("agents.active_hint"), value: item.active }),
  );

// What one can take on is not asked of who is not there yet: a new colleague begins with what the team has.
const work = (item) =>
  item && [
    h(
      "div",
      { class: "pair" },
      numberField({
        name: "capacity",
        label: t("agents.capacity"),
        hint: t("agents.capacity_hint"),
        value: item.capacity,
        min: 0,
        max: 500,
      }),
      numberField({
        name: "live_capacity",
        label: t("agents.live_capacity"),
        hint: t("agents.capacity_hint"),
        value: item.live_capacity,
        min: 0,
        max: 50,
      }),
    ),
    groupField({
      name: "skills",
      label: t("agents.skills"),
      fields: [
        chipsField({
          name: "languages",
          label: t("agents.languages"),
          options: languages,
          value: item.skills?.languages ?? [],
        }),
        pickMany({
          name: "categories",
          label: t("agents.categories"),
          options: categoryOptions,
          value: item.skills?.categories ?? [],
        }),
      ],
    }),
  ];
