// Views: searches with a name, beside the inbox' own.

import { every } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { textField } from "../../kernel/form.js";
import { compare } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { badge, linkButton } from "../../kernel/parts.js";
import { directory } from "../../kernel/store.js";
import { conditions } from "../conditions.js";
import { choiceField, mayChange, numberField, sharedBadge, sharing } from "../fields.js";
import { collection, editForm } from "../kit.js";

const SORTS = ["-last_activity_at", "next_due_at", "created_at", "-priority", "waiting_since"];

export const view = () =>
  collection({
    page: "views",
    from: "/views",
    names: "views",
    read: async () => (await directory("teams").ready, every("/views")),
    order: (one, other) => one.position - other.position || compare(one.name, other.name),
    title: t("views.title"),
    hint: t("views.hint"),
    add: t("views.add"),
    none: { title: t("views.none"), text: t("views.none_text"), icon: "filter" },
    row: (item) => ({
      title: item.name,
      text: say(item.sort, "views.sort"),
      badges: item.shared === "personal" ? [] : [sharedBadge(item)],
    }),
    editor,
  });

function editor(item, tools) {
  const { fields } = sharing(item);
  const open = item && h("p", {}, linkButton({ text: t("views.open"), icon: "inbox", href: `/inbox/${item.id}` }));
  return editForm({
    path: "/views",
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
      textField({ name: "name", label: t("views.name"), value: item?.name ?? "", required: true, autocomplete: "off" }),
      conditions({ name: "filter", label: t("views.filter"), value: item?.filter ?? {}, personal: true }),
      choiceField({
        name: "sort",
        label: t("views.order"),
        value: item?.sort ?? SORTS[0],
        options: SORTS.map((id) => ({ id, text: say(id, "views.sort") })),
      }),
      numberField({
        name: "position",
        label: t("views.position"),
        hint: t("views.position_hint"),
        value: item?.position ?? 100,
        min: 0,
        max: 10_000,
        required: true,
      }),
      fields,
    ],
    more: open,
    ...tools,
  });
}
