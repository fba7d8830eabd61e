// Tags: words that conversations carry. Agents make new ones by using them; here they are renamed and taken away.

import { textField } from "../../kernel/form.js";
import { t } from "../../kernel/i18n.js";
import { may } from "../../kernel/session.js";
import { collection, editForm } from "../kit.js";

export const view = () =>
  collection({
    page: "tags",
    from: "/tags",
    names: "tags",
    title: t("tags.title"),
    hint: t("tags.hint"),
    add: may("supervisor") ? t("tags.add") : null,
    none: { title: t("tags.none"), text: t("tags.none_text"), icon: "tag" },
    row: (item) => ({ title: item.name, icon: "tag" }),
    editor: (item, tools) =>
      editForm({
        path: "/tags",
        item,
        may: may("supervisor"),
        children: textField({
          name: "name",
          label: t("tags.name"),
          hint: item && t("tags.name_hint"),
          value: item?.name ?? "",
          required: true,
          autocomplete: "off",
        }),
        removeText: () => t("tags.remove"),
        ...tools,
      }),
  });
