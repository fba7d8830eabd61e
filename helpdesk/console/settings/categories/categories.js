// Categories: what conversations are about. Triage suggests them by their words, and rules and reports speak of them.

import { get } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { checkField, textField } from "../../kernel/form.js";
import { language, say, t } from "../../kernel/i18n.js";
import { may } from "../../kernel/session.js";
import { choiceField, languagesField, linesField, numberField } from "../fields.js";
import { collection, editForm } from "../kit.js";

const nameOf = (item) => item.names[language] ?? item.names.en ?? item.key;
const PRIORITIES = ["low", "normal", "high", "urgent"];

export const view = () =>
  collection({
    page: "categories",
    from: "/triage/categories",
    names: "categories",
    idOf: (item) => item.key,
    read: async () => (await get("/triage/categories")).items,
    order: (one, other) =>
      one.archived - other.archived ||
      one.builtin - other.builtin ||
      nameOf(one).localeCompare(nameOf(other), language),
    title: t("categories.title"),
    hint: t("categories.hint"),
    add: may("admin") ? t("categories.add") : null,
    none: { title: t("categories.title"), icon: "flag" },
    row: (item) => ({
      title: nameOf(item),
      text: item.key,
      badges: item.archived
        ? [[t("categories.archived"), "warn"]]
        : item.builtin
          ? [[t("categories.builtin"), ""]]
          : [],
    }),
    editor,
  });

function editor(item, tools) {
  const heading = item && h("h2", { class: "settings-heading", tabindex: "-1", data: { focus: true } }, nameOf(item));
  if (item?.builtin)
    return h(
      "div",
      { class: "stack" },
      heading,
      h("p", {}, t("categories.builtin_text")),
      h("p", { class: "hint" }, item.key),
    );
  return editForm({
    path: "/triage/categories",
    item,
    idOf: (one) => one.key,
    may: may("admin"),
    removable: false,
    heading,
    children: [
      !item &&
        textField({
          name: "key",
          label: t("categories.key"),
          hint: t("categories.key_hint"),
          required: true,
          autocomplete: "off",
          spellcheck: "false",
        }),
      languagesField({ name: "names", label: t("categories.names"), value: item?.names, required: true }),
      linesField({
        name: "words",
        label: t("categories.words"),
        hint: t("categories.words_hint"),
        value: item?.words,
        rows: 6,
      }),
      numberField({
        name: "weight",
        label: t("categories.weight"),
        hint: t("categories.weight_hint"),
        value: item?.weight ?? 5,
        min: 1,
        max: 10,
        required: true,
      }),
      choiceField({
        name: "priority",
        label: t("categories.priority"),
        value: item?.priority,
        none: t("categories.no_priority"),
        options: PRIORITIES.map((id) => ({ id, text: say(id, "priority") })),
      }),
      item && checkField({ name: "archived", label: t("categories.archive"), value: item.archived }),
    ],
    ...tools,
  });
}
