// Teams: who is in them, who leads them, and how work comes to their members.

import { h } from "../../kernel/dom.js";
import { checkField, selectField, textField } from "../../kernel/form.js";
import { say, t } from "../../kernel/i18n.js";
import { may } from "../../kernel/session.js";
import { directory } from "../../kernel/store.js";
import { numberField } from "../fields.js";
import { collection, editForm } from "../kit.js";
import { groupField, named, pickMany, words } from "../pick.js";

const admin = () => may("admin");

export const view = () =>
  collection({
    page: "teams",
    from: "/teams",
    names: "teams",
    title: t("teams.title"),
    hint: t("teams.hint"),
    add: admin() ? t("teams.add") : null,
    none: { title: t("teams.none"), text: t("teams.none_text"), icon: "people" },
    row: (one) => ({
      title: one.name,
      text: members(one),
      badges: one.routing.method === "manual" ? [] : [[say(one.routing.method, "teams.method"), "note"]],
    }),
    editor: (item, tools) =>
      editForm({
        path: "/teams",
        item,
        may: may("supervisor"),
        removable: admin(),
        removeText: () => t("teams.remove"),
        children: [who(item), routing(item?.routing ?? {})],
        ...tools,
      }),
  });

function members({ member_ids: ids }) {
  const names = ids.map((id) => directory("agents").byId(id)?.name).filter(Boolean);
  return names.length && names.length < 4 ? names.join(" · ") : t("teams.members_count", { n: ids.length });
}

// Whom a team is made of is the administrators'; how its work is handed out, supervisors may say too.
const who = (item) =>
  h(
    "fieldset",
    { class: "stack settings-fields", disabled: !admin() },
    textField({ name: "name", label: t("teams.name"), value: item?.name ?? "", required: true, autocomplete: "off" }),
    textField({ name: "description", label: t("teams.description"), value: item?.description ?? "", rows: 2 }),
    pickMany({
      name: "member_ids",
      label: t("teams.members"),
      hint: t("teams.members_hint"),
      options: named("agents"),
      value: item?.member_ids ?? [],
    }),
    pickMany({
      name: "lead_ids",
      label: t("teams.leads"),
      hint: t("teams.leads_hint"),
      options: named("agents"),
      value: item?.leads ?? [],
    }),
  );

const routing = ({
  method = "manual",
  capacity = 10,
  skills = "ignore",
  take_back_minutes: back = null,
  only_on_duty: duty = true,
  live_capacity: live = 3,
  live_take_back_minutes: liveBack = 2,
}) =>
  groupField({
    name: "routing",
    label: t("teams.routing"),
    hint: t("teams.routing_hint"),
    fields: [
      selectField({
        name: "method",
        label: t("teams.method_label"),
        value: method,
        options: words(["manual", "round_robin", "least_busy"], (one) => say(one, "teams.method"))(),
      }),
      selectField({
        name: "skills",
        label: t("teams.skills_label"),
        value: skills,
        options: words(["ignore", "prefer", "require"], (one) => say(one, "teams.skills"))(),
      }),
      checkField({ name: "only_on_duty", label: t("teams.only_on_duty"), value: duty }),
      numberField({ name: "capacity", label: t("teams.capacity"), value: capacity, min: 1, max: 500, required: true }),
      numberField({
        name: "take_back_minutes",
        label: t("teams.take_back"),
        hint: t("teams.take_back_hint"),
        value: back,
        min: 5,
        max: 10080,
      }),
      numberField({
        name: "live_capacity",
        label: t("teams.live_capacity"),
        value: live,
        min: 1,
        max: 50,
        required: true,
      }),
      numberField({
        name: "live_take_back_minutes",
        label: t("teams.live_take_back"),
        value: liveBack,
        min: 2,
        max: 10080,
      }),
    ],
  });
