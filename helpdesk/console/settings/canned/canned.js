// Canned responses: answers that are written once and put in by "/" and a short word.

import { every } from "../../kernel/api.js";
import { h, on } from "../../kernel/dom.js";
import { textField } from "../../kernel/form.js";
import { language, say, t } from "../../kernel/i18n.js";
import { badge, chip } from "../../kernel/parts.js";
import { directory } from "../../kernel/store.js";
import { languagesField, mayChange, sharedBadge, sharing } from "../fields.js";
import { collection, editForm } from "../kit.js";

const VARIABLES = [
  "contact.name",
  "contact.first_name",
  "agent.name",
  "agent.first_name",
  "conversation.number",
  "conversation.subject",
  "inbox.name",
  "team.name",
];

export const view = () =>
  collection({
    page: "canned",
    from: "/canned-responses",
    names: "canned-responses",
    // Whether a team's may be changed is told by who leads it.
    read: async () => (await directory("teams").ready, every("/canned-responses")),
    title: t("canned.title"),
    hint: t("canned.hint"),
    add: t("canned.add"),
    none: { title: t("canned.none"), text: t("canned.none_text"), icon: "reply" },
    row: (item) => ({
      title: item.title,
      text: `/${item.shortcut} · ${item.texts[language] ?? Object.values(item.texts)[0] ?? ""}`,
      badges: item.shared === "personal" ? [] : [sharedBadge(item)],
    }),
    editor,
  });

function editor(item, tools) {
  const { fields } = sharing(item);
  const may = !item || mayChange(item);
  const texts = languagesField({
    name: "texts",
    label: t("canned.texts"),
    hint: t("canned.texts_hint"),
    value: item?.texts,
    rows: 4,
  });
  return editForm({
    path: "/canned-responses",
    item,
    may,
    heading:
      item &&
      h(
        "h2",
        { class: "settings-heading row", tabindex: "-1", data: { focus: true } },
        item.title,
        badge(...sharedBadge(item)),
      ),
    children: [
      textField({
        name: "title",
        label: t("canned.name"),
        value: item?.title ?? "",
        required: true,
        autocomplete: "off",
      }),
      textField({
        name: "shortcut",
        label: t("canned.shortcut"),
        hint: t("canned.shortcut_hint"),
        value: item?.shortcut ?? "",
        required: true,
        autocomplete: "off",
        spellcheck: "false",
      }),
      texts,
      may && variables(texts),
      fields,
    ],
    ...tools,
  });
}

/** What can be put in, at the place where one writes. */
function variables(texts) {
  let at = texts.querySelector("textarea");
  on(texts, "focusin", (event) => (at = event.target));
  const put = (name) => {
    at.setRangeText(`{{${name}}}`, at.selectionStart, at.selectionEnd, "end");
    at.dispatchEvent(new Event("input", { bubbles: true }));
    at.focus();
  };
  return h(
    "div",
    { class: "stack" },
    h("p", { class: "hint" }, t("canned.variables")),
    h(
      "div",
      { class: "canned-variables" },
      VARIABLES.map((name) => chip({ text: say(name.replace(".", "_"), "canned.variable"), run: () => put(name) })),
    ),
  );
}
