// Custom fields: what a house wants to know of conversations and contacts beyond what everybody does.

import { checkField, textField } from "../../kernel/form.js";
import { h } from "../../kernel/dom.js";
import { say, t } from "../../kernel/i18n.js";
import { may } from "../../kernel/session.js";
import { signal } from "../../kernel/signals.js";
import { choiceField, linesField, numberField } from "../fields.js";
import { collection, editForm } from "../kit.js";

const SUBJECTS = ["conversation", "contact"];
const TYPES = ["text", "number", "boolean", "date", "choice", "multi_choice", "url"];
const chosen = (type) => type === "choice" || type === "multi_choice";
const optionsOf = (words, prefix) => words.map((id) => ({ id, text: prefix(id) }));

export const view = () =>
  collection({
    page: "fields",
    from: "/custom-fields",
    names: "custom-fields",
    order: (one, other) =>
      one.archived - other.archived || one.subject.localeCompare(other.subject) || one.position - other.position,
    title: t("fields.title"),
    hint: t("fields.hint"),
    add: may("admin") ? t("fields.add") : null,
    none: { title: t("fields.none"), text: t("fields.none_text"), icon: "edit" },
    row: (item) => ({
      title: item.title,
      text: `${say(item.subject, "fields.subject")} · ${say(item.type, "fields.type")}`,
      badges: item.archived ? [[t("fields.archived"), "warn"]] : [],
    }),
    editor,
  });

function editor(item, tools) {
  const type = signal(item?.type ?? "text");
  const shown = linesField({
    name: "options",
    label: t("fields.options"),
    hint: t("fields.options_hint"),
    value: item?.options,
    rows: 5,
  });
  const first = [
    choiceField({
      name: "subject",
      label: t("fields.of"),
      value: "conversation",
      options: optionsOf(SUBJECTS, (one) => say(one, "fields.subject")),
    }),
    choiceField({
      name: "type",
      label: t("fields.kind"),
      hint: t("fields.kind_hint"),
      value: "text",
      options: optionsOf(TYPES, (one) => say(one, "fields.type")),
      on: { change: (event) => (type.value = event.target.value) },
    }),
    textField({
      name: "key",
      label: t("fields.key"),
      hint: t("fields.key_hint"),
      required: true,
      autocomplete: "off",
      spellcheck: "false",
    }),
  ];
  return editForm({
    path: "/custom-fields",
    item,
    may: may("admin"),
    children: [
      textField({
        name: "title",
        label: t("fields.name"),
        value: item?.title ?? "",
        required: true,
        autocomplete: "off",
      }),
      item
        ? h(
            "p",
            { class: "hint" },
            `${say(item.subject, "fields.subject")} · ${say(item.type, "fields.type")} · ${item.key}`,
          )
        : first,
      h("div", { hidden: () => !chosen(type.value) }, shown),
      numberField({
        name: "position",
        label: t("fields.position"),
        hint: t("fields.position_hint"),
        value: item?.position ?? 0,
        min: 0,
        required: true,
      }),
      item &&
        checkField({
          name: "archived",
          label: t("fields.archive"),
          hint: t("fields.archive_hint"),
          value: item.archived,
        }),
    ],
    read: ({ options, ...rest }) => (chosen(type.peek()) ? { ...rest, options } : rest),
    removeText: () => t("fields.remove"),
    ...tools,
  });
}
