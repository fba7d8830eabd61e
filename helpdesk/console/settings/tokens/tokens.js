// Tokens of programs: made with just the rights that they need, shown once, taken back at any time.

import { del, every } from "../../kernel/api.js";
import { ask } from "../../kernel/dialog.js";
import { h } from "../../kernel/dom.js";
import { selectField, textField } from "../../kernel/form.js";
import { dateTime } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { button } from "../../kernel/parts.js";
import { may, me } from "../../kernel/session.js";
import { directory } from "../../kernel/store.js";
import { attempt } from "../../kernel/toast.js";
import { choiceField } from "../fields.js";
import { collection, editForm } from "../kit.js";
import { shownOnce } from "../once.js";
import { chipsField, named, words } from "../pick.js";

const SCOPES = [
  "conversations:read",
  "conversations:write",
  "contacts:read",
  "contacts:write",
  "social:write",
  "settings:write",
  "reports:read",
];
const scopeOf = (one) => say(one.replace(":", "_"), "tokens.scope");
const ownerOf = (one) => directory("agents").byId(one.agent_id)?.name ?? "";

export const view = () =>
  collection({
    page: "tokens",
    from: "/tokens",
    title: t("tokens.title"),
    hint: t("tokens.hint"),
    add: t("tokens.add"),
    none: { title: t("tokens.none"), text: t("tokens.none_text"), icon: "keyboard" },
    read: () => every("/tokens", may("admin") ? { agent_id: "all" } : {}),
    row: (one) => ({
      title: one.name,
      text: ownerOf(one),
      badges: one.kind === "bot" ? [[t("tokens.bot"), "note"]] : [],
    }),
    editor: (item, tools) => (item ? shown(item, tools) : maker(tools)),
  });

const maker = (tools) =>
  editForm({
    path: "/tokens",
    item: null,
    read: ({ name, agent_id: agent, kind, scopes, expires_at: until }) => ({
      name,
      kind,
      scopes,
      ...(agent ? { agent_id: agent } : {}),
      ...(until ? { expires_at: new Date(`${until}T23:59:59`).toISOString() } : {}),
    }),
    children: [
      textField({
        name: "name",
        label: t("tokens.name"),
        hint: t("tokens.name_hint"),
        required: true,
        autocomplete: "off",
      }),
      may("admin") &&
        choiceField({ name: "agent_id", label: t("tokens.agent"), value: me.peek().id, options: named("agents") }),
      selectField({
        name: "kind",
        label: t("tokens.kind"),
        hint: t("tokens.kind_hint"),
        value: "agent",
        options: words(["agent", "bot"], (one) => say(one, "author"))(),
      }),
      chipsField({
        name: "scopes",
        label: t("tokens.scopes"),
        hint: t("tokens.scopes_hint"),
        options: words(SCOPES, scopeOf),
      }),
      textField({ name: "expires_at", label: t("tokens.until"), hint: t("tokens.until_hint"), type: "date" }),
    ],
    ...tools,
  });

function shown(item, tools) {
  const revoke = async () => {
    if (
      !(await ask({
        title: t("tokens.revoke_title", { name: item.name }),
        text: t("tokens.revoke_text"),
        confirm: t("tokens.revoke"),
        danger: true,
      }))
    )
      return;
    if ((await attempt(del(`/tokens/${item.id}`), { done: t("tokens.revoked") })) !== undefined) await tools.removed();
  };
  const facts = [
    [t("tokens.agent"), ownerOf(item)],
    [t("tokens.kind"), say(item.kind, "author")],
    [t("tokens.scopes"), item.scopes.map(scopeOf).join(" · ")],
    [t("tokens.made"), dateTime(item.created_at)],
    [t("tokens.used"), item.last_used_at ? dateTime(item.last_used_at) : t("tokens.never")],
    [t("tokens.until"), item.expires_at ? dateTime(item.expires_at) : t("tokens.no_end")],
  ];
  return h(
    "div",
    { class: "stack" },
    h("h2", { class: "settings-heading", tabindex: "-1", data: { focus: true } }, item.name),
    item.token && shownOnce(t("tokens.token"), item.token),
    h("dl", { class: "facts" }, facts.map(([word, value]) => [h("dt", {}, word), h("dd", {}, value)])),
    h("div", { class: "row" }, button({ text: t("tokens.revoke"), icon: "trash", kind: "danger", run: revoke })),
  );
}
