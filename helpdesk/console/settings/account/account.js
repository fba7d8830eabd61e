// One's own account: language, looks, and where one is signed in.

import { del, get, patch } from "../../kernel/api.js";
import { each, h } from "../../kernel/dom.js";
import { checkField, selectField } from "../../kernel/form.js";
import { chooseLanguage, language, LANGUAGES, say, t } from "../../kernel/i18n.js";
import { badge, button, pane } from "../../kernel/parts.js";
import { me, preferences, setPreference } from "../../kernel/session.js";
import { effect, signal } from "../../kernel/signals.js";
import { attempt } from "../../kernel/toast.js";

export function view() {
  const sessions = signal([]);
  const read = async () => (sessions.value = (await get("/me/sessions")).items);
  attempt(read());
  const spoken = signal(language);
  effect(() => {
    const wanted = spoken.value;
    if (wanted === language) return;
    attempt(patch("/me", { locale: wanted }, { version: me.peek().version })).then((found) => found && chooseLanguage(wanted));
  });
  const theme = signal(preferences.peek().theme);
  effect(() => setPreference("theme", theme.value));
  const dense = signal(preferences.peek().density === "dense");
  effect(() => setPreference("density", dense.value ? "dense" : "calm"));
  const end = async (id) => {
    await attempt(del(`/me/sessions/${id}`), { done: t("account.ended") });
    await read();
  };
  const row = (one$) => {
    const { id, client, current, last_seen_at: at } = one$.peek();
    return h("li", { class: "card row" }, h("span", { class: "grow" }, client), h("time-ago", { class: "soft", datetime: at }), current ? badge(t("account.current"), "good") : button({ text: t("account.end"), run: () => end(id) }));
  };
  const themes = [
    { id: "system", text: t("account.system") },
    { id: "light", text: t("account.light") },
    { id: "dark", text: t("account.dark") },
  ];
  return pane(
    { title: t("account.title"), name: "account" },
    h("p", { class: "row" }, h("strong", {}, () => me.value?.name), h("span", { class: "soft" }, () => me.value?.email), () => me.value && badge(say(me.value.role, "role"))),
    h("div", { class: "stack narrow" }, selectField({ label: t("account.language"), value: spoken, options: Object.entries(LANGUAGES).map(([id, text]) => ({ id, text })) }), selectField({ label: t("account.theme"), value: theme, options: themes }), checkField({ label: t("account.dense"), value: dense })),
    h("h2", {}, t("account.sessions")),
    h("ul", { class: "stack plain" }, each(() => sessions.value, (one) => one.id, row)),
  );
}
