// Macros: several actions under one name, done in one go.

import { every } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { textField } from "../../kernel/form.js";
import { list } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { badge } from "../../kernel/parts.js";
import { directory } from "../../kernel/store.js";
import { actions } from "../actions.js";
import { mayChange, sharedBadge, sharing } from "../fields.js";
import { collection, editForm } from "../kit.js";

const KINDS = ["assign", "team", "watch", "priority", "status", "category", "tag", "custom_field", "note", "reply"];

export const view = () =>
  collection({
    page: "macros",
    from: "/macros",
    names: "macros",
    read: async () => (await directory("teams").ready, every("/macros")),
    title: t("macros.title"),
    hint: t("macros.hint"),
    add: t("macros.add"),
    none: { title: t("macros.none"), text: t("macros.none_text"), icon: "star" },
    row: (item) => ({
      title: item.name,
      text: item.description || list(item.actions.map((one) => say(one.do, "sentence.do"))),
      badges: item.shared === "personal" ? [] : [sharedBadge(item)],
    }),
    editor,
  });

function editor(item, tools) {
  const { fields } = sharing(item);
  return editForm({
    path: "/macros",
    item,
    may: !item || mayChange(item),
    heading:
      item &&
      h(
        "h2",
        { class: "settings-heading row", tabindex: "-1", data: { focus: true } },
        item.name,
        badge(...sharedBadge(item)),
      ),
    children: [
      textField({
        name: "name",
        label: t("macros.name"),
        value: item?.name ?? "",
        required: true,
        autocomplete: "off",
      }),
      textField({
        name: "description",
        label: t("macros.description"),
        value: item?.description ?? "",
        autocomplete: "off",
      }),
      actions({
        name: "actions",
        label: t("macros.actions"),
        value: item?.actions ?? [{ do: "status", to: "resolved" }],
        kinds: KINDS,
        me: true,
      }),
      fields,
    ],
    ...tools,
  });
}
