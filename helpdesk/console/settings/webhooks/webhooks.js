// Webhooks: where others are told what happens here, and what became of it.

import { checkField, textField } from "../../kernel/form.js";
import { h } from "../../kernel/dom.js";
import { say, t } from "../../kernel/i18n.js";
import { collection, editForm } from "../kit.js";
import { shownOnce } from "../once.js";
import { named, pickMany, words } from "../pick.js";
import { deliveries, EVENTS } from "./deliveries.js";

const events = words(["*", ...EVENTS], (one) => (one === "*" ? t("webhooks.all") : one));

export const view = () =>
  collection({
    page: "webhooks",
    from: "/webhooks",
    names: "webhooks",
    title: t("webhooks.title"),
    hint: t("webhooks.hint"),
    add: t("webhooks.add"),
    none: { title: t("webhooks.none"), text: t("webhooks.none_text"), icon: "link" },
    row: (one) => ({ title: one.name, text: one.url, badges: state(one) }),
    editor: (item, tools) =>
      editForm({
        path: "/webhooks",
        item,
        removeText: () => t("webhooks.remove"),
        read: ({ secret, ...rest }) => (secret ? { ...rest, secret } : rest),
        children: [
          item?.secret && shownOnce(t("webhooks.secret"), item.secret, t("webhooks.secret_once")),
          item?.disabled_reason && h("p", { class: "error" }, say(item.disabled_reason, "webhooks.disabled")),
          textField({
            name: "name",
            label: t("webhooks.name"),
            value: item?.name ?? "",
            required: true,
            autocomplete: "off",
          }),
          textField({
            name: "url",
            label: t("webhooks.url"),
            hint: t("webhooks.url_hint"),
            type: "url",
            value: item?.url ?? "",
            required: true,
            autocomplete: "off",
          }),
          pickMany({ name: "events", label: t("webhooks.events"), options: events, value: item?.events ?? ["*"] }),
          pickMany({
            name: "inbox_ids",
            label: t("webhooks.inboxes"),
            hint: t("webhooks.inboxes_hint"),
            options: named("inboxes"),
            value: item?.inbox_ids ?? [],
          }),
          !item &&
            textField({
              name: "secret",
              label: t("webhooks.secret"),
              hint: t("webhooks.secret_hint"),
              type: "password",
              autocomplete: "new-password",
            }),
          checkField({ name: "enabled", label: t("webhooks.enabled"), value: item?.enabled ?? true }),
        ],
        more: item && deliveries(item, tools),
        ...tools,
      }),
  });

function state(one) {
  if (!one.enabled) return [[t("webhooks.off"), "warn"]];
  return one.failing_since ? [[t("webhooks.failing"), "bad"]] : [];
}
