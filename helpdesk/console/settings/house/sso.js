// Single sign-on: the OpenID providers that may say who somebody is, and for whose addresses.

import { h } from "../../kernel/dom.js";
import { checkField, textField } from "../../kernel/form.js";
import { t } from "../../kernel/i18n.js";
import { signal } from "../../kernel/signals.js";
import { linesField } from "../fields.js";
import { collection, editForm } from "../kit.js";
import { shownOnce } from "../once.js";

const wayBack = () => `${document.documentElement.dataset.base || location.origin}/api/v1/auth/sso/callback`;

export const sso = () =>
  collection({
    page: "sso",
    from: "/sso-providers",
    title: t("sso.title"),
    hint: t("sso.hint"),
    add: t("sso.add"),
    none: { title: t("sso.none"), text: t("sso.none_text"), icon: "shield" },
    row: ({ name, issuer, enabled }) => ({ title: name, text: issuer, icon: "shield", badges: badges(enabled) }),
    editor,
  });

const badges = (enabled) => (enabled ? [] : [[t("sso.off"), "warn"]]);

/** A secret that was not typed stays; one that there is none of is taken away. */
function bodyOf({ secret, bare, ...rest }) {
  if (bare) return { ...rest, secret: null };
  return secret ? { ...rest, secret } : rest;
}

function editor(item, tools) {
  const bare = signal(Boolean(item) && !item.has_secret);
  const needed = { required: true, autocomplete: "off" };
  const field = (name, more) => textField({ name, value: item?.[name] ?? "", ...needed, ...more });
  return editForm({
    path: "/sso-providers",
    item,
    read: bodyOf,
    removeText: () => t("sso.remove"),
    children: [
      shownOnce(t("sso.way_back"), wayBack(), t("sso.way_back_hint")),
      field("name", { label: t("sso.name"), hint: t("sso.name_hint") }),
      field("issuer", { label: t("sso.issuer"), hint: t("sso.issuer_hint"), type: "url" }),
      field("client_id", { label: t("sso.client") }),
      h("div", { hidden: () => bare.value }, secret(item)),
      checkField({ name: "bare", label: t("sso.bare"), hint: t("sso.bare_hint"), value: bare }),
      domains(item),
      checkField({ name: "enabled", label: t("sso.enabled"), value: item?.enabled ?? true }),
    ],
    ...tools,
  });
}

function secret(item) {
  const hint = item?.has_secret ? t("sso.secret_kept") : t("sso.secret_hint");
  return textField({ name: "secret", label: t("sso.secret"), hint, type: "password", autocomplete: "new-password" });
}

function domains(item) {
  const more = { value: item?.domains ?? [], required: true, placeholder: "example.com" };
  return linesField({ name: "domains", label: t("sso.domains"), hint: t("sso.domains_hint"), ...more });
}
