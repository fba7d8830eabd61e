// One's own account: who one is, how the console looks, one's hours, the password and its second step, and where one is
// signed in.

import { del, get } from "../../kernel/api.js";
import { ask } from "../../kernel/dialog.js";
import { each, h } from "../../kernel/dom.js";
import { checkField, form, selectField, textField } from "../../kernel/form.js";
import { zone } from "../../kernel/format.js";
import { chooseLanguage, language, LANGUAGES, say, t } from "../../kernel/i18n.js";
import { badge, button, pane } from "../../kernel/parts.js";
import { setTitle } from "../../kernel/router.js";
import { changeMe as change, me, prefer, preferences, refreshMe } from "../../kernel/session.js";
import { effect, signal } from "../../kernel/signals.js";
import { attempt, toast } from "../../kernel/toast.js";
import { numberField } from "../fields.js";
import { words } from "../pick.js";
import { zones } from "../week.js";
import { password, twoSteps } from "./safety.js";

export function view() {
  setTitle(t("account.title"));
  return pane(
    { title: t("account.title"), name: "account" },
    h("div", { class: "account-parts" }, profile(), looks(), quiet(), password(change), twoSteps(), sessions()),
  );
}

function profile() {
  const now = me.peek();
  const send = async ({ name, locale, zone: place }) => {
    await change({ name, locale, zone: place.trim() });
    toast(t("account.saved"), { kind: "done" });
    chooseLanguage(locale);
  };
  const fields = [
    textField({
      name: "name",
      label: t("account.name"),
      hint: t("account.name_hint"),
      value: now.name,
      required: true,
      autocomplete: "name",
    }),
    h("p", { class: "row" }, h("span", { class: "soft cut" }, now.email), badge(say(now.role, "role"))),
    selectField({
      name: "locale",
      label: t("account.language"),
      value: language,
      options: Object.entries(LANGUAGES).map(([id, text]) => ({ id, text })),
    }),
    textField({
      name: "zone",
      label: t("account.zone"),
      hint: t("account.zone_hint", { zone: zone() }),
      value: now.zone,
      list: zones(),
      autocomplete: "off",
    }),
  ];
  return h(
    "section",
    { class: "card stack" },
    h("h2", {}, t("account.profile")),
    form({ send, children: fields, buttons: button({ text: t("account.save"), kind: "primary", type: "submit" }) }),
  );
}

function looks() {
  const chosen = (name, options) => {
    const value = signal(preferences.peek()[name]);
    effect(() => {
      if (value.value !== preferences.peek()[name]) attempt(prefer(name, value.value));
    });
    effect(() => (value.value = preferences.value[name]));
    return options(value);
  };
  const switched = (name, label, hint) => {
    const input = checkField({ label, hint, name, value: preferences.peek()[name] });
    input.input.addEventListener("change", () => attempt(prefer(name, input.input.checked)));
    return input;
  };
  const seconds = numberField({
    name: "undo_seconds",
    label: t("account.undo"),
    hint: t("account.undo_hint"),
    value: me.peek().preferences.undo_seconds,
    min: 0,
    max: 60,
  });
  seconds.input.addEventListener(
    "change",
    () => seconds.input.value !== "" && attempt(change({ preferences: { undo_seconds: Number(seconds.input.value) } })),
  );
  return h(
    "section",
    { class: "card stack" },
    h("h2", {}, t("account.looks")),
    chosen("theme", (value) =>
      selectField({
        label: t("account.theme"),
        value,
        options: words(["system", "light", "dark"], (one) => say(one, "account.theme_of"))(),
      }),
    ),
    chosen("density", (value) =>
      selectField({
        label: t("account.density"),
        value,
        options: words(["calm", "dense"], (one) => say(one, "account.density_of"))(),
      }),
    ),
    switched("shortcuts", t("account.shortcuts"), t("account.shortcuts_hint")),
    seconds,
  );
}

/** When one is not to be called, and whether one is on duty. */
function quiet() {
  const now = me.peek();
  const wanted = signal(Boolean(now.quiet_hours));
  const send = async ({ duty, from, to }) => {
    const hours = wanted.peek() ? { zone: me.peek().zone || zone(), from, to } : null;
    await change({ duty, quiet_hours: hours });
    toast(t("account.saved"), { kind: "done" });
  };
  const fields = [
    selectField({
      name: "duty",
      label: t("account.duty"),
      value: now.duty,
      options: words(["auto", "on", "off"], (one) => say(one, "account.duty_of"))(),
    }),
    checkField({
      name: "quiet",
      label: t("account.quiet"),
      hint: t("account.quiet_hint"),
      value: wanted.peek(),
      on: { change: (event) => (wanted.value = event.target.checked) },
    }),
    h(
      "div",
      { class: "pair", hidden: () => !wanted.value },
      textField({ name: "from", label: t("account.from"), type: "time", value: now.quiet_hours?.from ?? "20:00" }),
      textField({ name: "to", label: t("account.to"), type: "time", value: now.quiet_hours?.to ?? "08:00" }),
    ),
  ];
  return h(
    "section",
    { class: "card stack" },
    h("h2", {}, t("account.duty_title")),
    form({ send, children: fields, buttons: button({ text: t("account.save"), type: "submit" }) }),
  );
}

function sessions() {
  const list = signal([]);
  const read = async () => (list.value = (await get("/me/sessions")).items);
  attempt(read());
  const end = async (path) => {
    if ((await attempt(del(path), { done: t("account.ended") })) !== undefined) await read();
  };
  const others = async () => {
    if (
      !(await ask({
        title: t("account.end_others"),
        text: t("account.end_others_text"),
        confirm: t("account.end_others"),
      }))
    )
      return;
    await end("/me/sessions");
    await refreshMe();
  };
  const row = (one$) => {
    const { id, client, current, last_seen_at: at } = one$.peek();
    return h(
      "li",
      {},
      h("span", { class: "grow" }, client),
      h("time-ago", { class: "soft", datetime: at }),
      current
        ? badge(t("account.current"), "good")
        : button({ text: t("account.end"), run: () => end(`/me/sessions/${id}`) }),
    );
  };
  return h(
    "section",
    { class: "card stack" },
    h("h2", {}, t("account.sessions")),
    h("ul", { class: "plain-rows" }, each(() => list.value, (one) => one.id, row)),
    () => list.value.length > 1 && h("div", { class: "row" }, button({ text: t("account.end_others"), run: others })),
  );
}
