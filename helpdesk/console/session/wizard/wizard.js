// The first run: who the first administrator is, the first inbox, the first conversation.

import { get, post } from "../../kernel/api.js";
import { focusOn, h } from "../../kernel/dom.js";
import { form, selectField, textField } from "../../kernel/form.js";
import { language, LANGUAGES, t } from "../../kernel/i18n.js";
import { button, linkButton } from "../../kernel/parts.js";
import { loadArea, setTitle } from "../../kernel/router.js";
import { may, me, signIn } from "../../kernel/session.js";
import { effect, onCleanup, signal, untracked } from "../../kernel/signals.js";
import { on } from "../../kernel/stream.js";
import { inboxStep } from "./inbox.js";

const STEPS = ["who", "inbox", "first"];
// Events are told at once; this is for whoever has a proxy between that holds them back.
const LOOK_MS = 10_000;
const WATCHED_MS = 500;

/** All steps, one at a time. Whoever is in already begins with the inbox. */
export function view() {
  setTitle(t("wizard.title"));
  const link = globalThis.helpdeskBoot?.link;
  const step = signal(me.peek() ? "inbox" : link?.kind === "first-run" ? "who" : "none");
  const inbox = signal(null);
  const go = (next) => (step.value = next);
  const inside = {
    none: () => closed(),
    who: () => whoStep(link, () => go("inbox")),
    inbox: () => (may("admin") ? ready(() => inboxStep((found) => ((inbox.value = found), go("first")))) : closed()),
    first: () => firstStep(inbox.peek()),
  };
  const holder = h("div", { class: "wizard stack" }, () => {
    const now = step.value;
    return [now !== "none" && h("p", { class: "soft" }, t("wizard.step", { n: STEPS.indexOf(now) + 1, of: STEPS.length })), untracked(inside[now])];
  });
  let first = true;
  effect(() => {
    step.value;
    if (!first) queueMicrotask(() => focusOn(holder.querySelector("[data-focus]")));
    first = false;
  });
  return holder;
}

const title = (text) => h("h1", { tabindex: "-1", data: { focus: true } }, text);

const closed = () => [title(t("wizard.closed")), h("p", {}, t("wizard.closed_text")), linkButton({ text: t("wizard.sign_in"), kind: "primary", href: "/login" })];

/** The form of an inbox is the settings': their words and looks are fetched with it. */
function ready(build) {
  const there = signal(false);
  Promise.all([loadArea("settings"), loadArea("settings/inboxes")]).then(() => (there.value = true), () => {});
  return () => (there.value ? untracked(build) : h("div", { class: "spinner" }));
}

function whoStep(link, done) {
  const send = async ({ name, email, password, locale }) => {
    await post("/auth/first-run", { token: link.secret, name, email, password, locale }, { quiet: true });
    globalThis.helpdeskBoot.link = null;
    // Another language loads the page anew; whoever is in then goes on with the next step.
    if (signIn(await post("/auth/login", { email, password }, { quiet: true }))) done();
  };
  const fields = [
    textField({ name: "name", label: t("wizard.name"), hint: t("wizard.name_hint"), autocomplete: "name", required: true, autofocus: true }),
    textField({ name: "email", label: t("wizard.email"), hint: t("wizard.email_hint"), type: "email", autocomplete: "username", required: true }),
    textField({ name: "password", label: t("wizard.password"), hint: t("wizard.password_hint"), type: "password", autocomplete: "new-password", required: true }),
    selectField({ name: "locale", label: t("wizard.language"), value: language, options: Object.entries(LANGUAGES).map(([id, text]) => ({ id, text })) }),
  ];
  return [title(t("wizard.who")), h("p", {}, t("wizard.who_text")), form({ send, children: fields, buttons: button({ text: t("wizard.next"), kind: "primary", type: "submit" }) })];
}

/** Somebody writes, and it is here: the moment for which all this is done. */
function firstStep(inbox) {
  const found = signal(null);
  const look = async () => {
    const { items } = await get("/conversations", { inbox_id: inbox.id, limit: 1 });
    if (items.length) found.value = items[0];
  };
  const again = () => found.peek() || look().catch(() => {});
  again();
  const timer = setInterval(again, LOOK_MS);
  onCleanup(() => clearInterval(timer));
  on("conversation.created", ({ data }) => data.inbox_id === inbox.id && again());
  const open = () => {
    const shown = linkButton({ text: t("wizard.open"), kind: "primary", href: `/conversations/${found.value.id}` });
    queueMicrotask(() => focusOn(shown));
    return [h("p", { class: "wizard-here" }, t("wizard.here", { subject: found.value.subject || found.value.preview })), shown];
  };
  return [
    title(t("wizard.first")),
    inbox.channel === "chat" ? byChat() : byMail(inbox),
    h("div", { class: "stack", role: "status" }, () => (found.value ? open() : h("p", { class: "wizard-waiting" }, h("span", { class: "wizard-dot", "aria-hidden": "true" }), t("wizard.waiting")))),
    h("p", { class: "row wizard-then" }, h("a", { href: "/settings/agents/new" }, t("wizard.invite")), h("a", { href: `/settings/inboxes/${inbox.id}` }, t("wizard.settings")), h("a", { href: "/inbox" }, t("wizard.later"))),
  ];
}

/** What lay in the mailbox before stays there: nobody is asked to write until it is being watched. */
function byMail(inbox) {
  const watched = signal(false);
  const look = async () => {
    const { last_success_at: at, failing_since: failing } = await get(`/inboxes/${inbox.id}`);
    watched.value = Boolean(at || failing);
  };
  const timer = setInterval(() => watched.peek() || look().catch(() => {}), WATCHED_MS);
  onCleanup(() => clearInterval(timer));
  return h("p", { role: "status" }, () => (watched.value ? t("wizard.write_mail", { address: inbox.handle }) : t("wizard.connecting")));
}

const byChat = () =>
  "demo" in document.documentElement.dataset
    ? [h("p", {}, t("wizard.write_chat")), linkButton({ text: t("wizard.demo"), icon: "chat", href: "/demo", target: "_blank", rel: "noopener", data: { native: true } })]
    : h("p", {}, t("wizard.embed_chat"));
