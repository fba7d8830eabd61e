// Alert routes: the chat rooms of other tools that alerts are posted to.

import { post } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { checkField, selectField, textField } from "../../kernel/form.js";
import { LANGUAGES, say, t } from "../../kernel/i18n.js";
import { button } from "../../kernel/parts.js";
import { signal } from "../../kernel/signals.js";
import { attempt } from "../../kernel/toast.js";
import { choiceField } from "../fields.js";
import { collection, editForm } from "../kit.js";
import { section } from "../once.js";
import { named, words } from "../pick.js";

const PATH = "/alert-routes";
const TOOLS = ["slack", "teams", "feishu", "dingtalk", "wecom", "telegram", "discord"];
// What reaches a room: its webhook's address, with most of them; what proves who posts, with some.
const PARTS = {
  url: (kind) => kind !== "telegram",
  bot_token: (kind) => kind === "telegram",
  chat_id: (kind) => kind === "telegram",
  signing_secret: (kind) => ["feishu", "dingtalk"].includes(kind),
  api_url: () => true,
};
const NEEDED = ["url", "bot_token", "chat_id"];
const SECRET = ["bot_token", "signing_secret"];

export const routes = () =>
  collection({
    page: "alert-routes",
    from: PATH,
    title: t("settings.alert-routes"),
    hint: t("alert_routes.hint"),
    add: t("alert_routes.add"),
    none: { title: t("alert_routes.none"), text: t("alert_routes.none_text"), icon: "bell" },
    row: (one) => ({
      title: one.name,
      text: `${say(one.kind, "alert_routes.kind")} · ${one.host}`,
      badges: one.enabled ? [] : [[t("calling.off"), "warn"]],
    }),
    editor,
  });

function editor(item, tools) {
  const kind = signal(item?.kind ?? "slack");
  const read = (values) => {
    const parts = Object.entries(values).filter(
      ([name, value]) => name.startsWith("address.") && PARTS[name.slice(8)](kind.peek()) && value,
    );
    const rest = Object.fromEntries(Object.entries(values).filter(([name]) => !name.startsWith("address.")));
    return item && !parts.length
      ? rest
      : { ...rest, address: Object.fromEntries(parts.map(([name, value]) => [name.slice(8), value])) };
  };
  return editForm({
    path: PATH,
    item,
    read,
    removeText: () => t("alert_routes.remove"),
    children: fields(item, kind),
    more: item && trial(item),
    ...tools,
  });
}

const fields = (item, kind) => [
  textField({ name: "name", label: t("calling.name"), value: item?.name ?? "", required: true, autocomplete: "off" }),
  !item &&
    selectField({
      name: "kind",
      label: t("alert_routes.tool"),
      value: kind,
      options: words(TOOLS, (one) => say(one, "alert_routes.kind"))(),
    }),
  h(
    "fieldset",
    { class: "settings-group" },
    h("legend", {}, t("alert_routes.address")),
    h(
      "p",
      { class: "hint" },
      item
        ? t("alert_routes.address_kept", { host: item.host })
        : () => say(PARTS.url(kind.value) ? "url" : "bot", "alert_routes.how"),
    ),
    Object.entries(PARTS).map(([name, asked]) => h("div", { hidden: () => !asked(kind.value) }, part(name, item))),
  ),
  selectField({
    name: "severity",
    label: t("alert_routes.severity"),
    value: item?.severity ?? "warning",
    options: words(["info", "warning", "critical"], (one) => say(one, "alert_routes.from"))(),
  }),
  choiceField({
    name: "team_id",
    label: t("alert_routes.team"),
    value: item?.team_id,
    none: t("alert_routes.every_team"),
    options: named("teams"),
  }),
  choiceField({
    name: "locale",
    label: t("alert_routes.language"),
    value: item?.locale ?? document.documentElement.lang,
    options: Object.entries(LANGUAGES).map(([id, text]) => ({ id, text })),
  }),
  checkField({ name: "enabled", label: t("calling.enabled"), value: item?.enabled ?? true }),
];

// Nothing of an address is shown again: whoever changes it gives all of it.
function part(name, item) {
  const type = SECRET.includes(name) ? "password" : name.endsWith("url") ? "url" : "text";
  const hint = name === "api_url" || name === "signing_secret" ? say(name, "alert_routes.hint_of") : null;
  return textField({
    name: `address.${name}`,
    label: say(name, "alert_routes.part"),
    hint,
    type,
    required: !item && NEEDED.includes(name),
    autocomplete: type === "password" ? "new-password" : "off",
  });
}

function trial(item) {
  const found = signal(null);
  const run = async () => (found.value = (await attempt(post(`${PATH}/${item.id}/test`))) ?? null);
  const told = () =>
    found.value &&
    h(
      "p",
      { role: "status", class: [!found.value.ok && "error"] },
      found.value.ok
        ? t("alert_routes.posted")
        : t("alert_routes.not_posted", { why: say(found.value.error, "alert_routes.error") }),
    );
  return section(
    t("alert_routes.try"),
    h("p", { class: "soft" }, t("alert_routes.try_hint")),
    h("div", { class: "row" }, button({ text: t("alert_routes.try_now"), icon: "send", run })),
    told,
  );
}
