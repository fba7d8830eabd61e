// How an inbox is: at work or paused, since when it fails and why, and what else its channel wants from people.

import { post } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { now } from "../../kernel/format.js";
import { has, say, t } from "../../kernel/i18n.js";
import { badge, button, linkButton } from "../../kernel/parts.js";
import { here } from "../../kernel/router.js";
import { attempt, toast } from "../../kernel/toast.js";

/** The word for how it is, and its colour. */
export function stateOf(inbox) {
  if (inbox.state === "paused") return [t("inboxes.paused"), "warn"];
  if (inbox.failing_since) return [t("inboxes.failing"), "bad"];
  return [t("inboxes.working"), "good"];
}

/** The heading of an inbox: its name, how it is, and the button that pauses it. `hand` is the form's. */
export function heading(inbox$, hand) {
  const paused = () => inbox$.value.state === "paused";
  const turn = () =>
    attempt(hand.change({ state: paused() ? "active" : "paused" }), {
      done: paused() ? t("inboxes.resumed") : t("inboxes.is_paused"),
    });
  return h(
    "header",
    { class: "inboxes-head" },
    h(
      "div",
      { class: "row spread" },
      h("h2", { class: "settings-heading", tabindex: "-1", data: { focus: true } }, () => inbox$.value.name),
      h(
        "div",
        { class: "row" },
        () => badge(...stateOf(inbox$.value)),
        () => button({ text: paused() ? t("inboxes.resume") : t("inboxes.pause"), run: turn }),
      ),
    ),
    h("p", { class: "hint" }, () =>
      [say(inbox$.value.channel, "channel"), inbox$.value.handle].filter(Boolean).join(" · "),
    ),
    h("p", { class: "hint" }, () =>
      inbox$.value.last_success_at
        ? [t("inboxes.last_success"), " ", h("time-ago", { datetime: inbox$.value.last_success_at })]
        : t("inboxes.never"),
    ),
    () => inbox$.value.failing_since && trouble(inbox$.value),
  );
}

function trouble(inbox) {
  const kind = inbox.error_kind;
  return h(
    "div",
    { class: "settings-conflict inboxes-trouble", role: "alert" },
    h(
      "p",
      {},
      h("strong", {}, has(`inbox_error.${kind}`) ? say(kind, "inbox_error") : t("inboxes.failing")),
      " ",
      t("inboxes.since"),
      " ",
      h("time-ago", { datetime: inbox.failing_since }),
    ),
    inbox.error_detail && h("p", { lang: "en" }, inbox.error_detail),
    has(`inbox_mend.${kind}`) && h("p", {}, say(kind, "inbox_mend")),
  );
}

/** A day some days ago, as commands want it. */
const isoDay = (ago) => new Date(now() - ago * 86_400_000).toISOString().slice(0, 10);
const base = () => document.documentElement.dataset.base || location.origin;

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("inboxes.copied"), { kind: "done" });
  } catch {
    toast(t("inboxes.not_copied"), { kind: "wrong" });
  }
}

/**
 * Consent to use the account: asked for in this browser, or by the command where the provider knows no way back to
 * here.
 */
function consent(inbox) {
  const back = `${base()}/api/v1/inboxes/consent/callback`;
  const told = here.peek().query.get("consent");
  const begin = async () => {
    const begun = await attempt(post(`/inboxes/${inbox.id}/consent`));
    if (begun) location.assign(begun.url);
  };
  return h(
    "section",
    { class: "card stack" },
    h("h3", {}, t("inboxes.authorize")),
    told && h("p", { class: told === "granted" ? "inboxes-granted" : "error", role: "status" }, outcome(told)),
    h("p", { class: "hint" }, t("inboxes.consent_hint")),
    code(back),
    h(
      "div",
      { class: "row" },
      button({ text: t("inboxes.consent_begin"), icon: "shield", kind: "primary", run: begin }),
    ),
    h(
      "details",
      { class: "settings-more" },
      h("summary", {}, t("inboxes.by_command")),
      h("p", { class: "hint" }, t("inboxes.authorize_hint")),
      code(`helpdesk inbox authorize ${inbox.id}`),
    ),
  );
}

/** What came of it, by the word that the way back brought along. */
const outcome = (word) => (has(`inboxes.consent.${word}`) ? say(word, "inboxes.consent") : t("inboxes.consent_failed"));

/** Something to be copied, as it is. */
function code(text) {
  return h(
    "div",
    { class: "inboxes-code" },
    h("code", { tabindex: "0" }, text),
    button({ text: t("inboxes.copy"), run: () => copy(text) }),
  );
}

function line(title, text, what, more) {
  const hint = h("p", { class: "hint" }, text);
  return h(
    "section",
    { class: "card stack" },
    h("h3", {}, title),
    hint,
    code(what),
    more && h("div", { class: "row" }, more),
  );
}

/** What stands below the form of an inbox that is there: what is done elsewhere. */
export function beside(inbox) {
  const { id, channel, settings } = inbox;
  const again = async () => {
    const found = await attempt(post(`/inboxes/${id}/reprocess`, {}));
    if (found) toast(t("inboxes.reprocessed", { n: found.count }), { kind: "done" });
  };
  const wanted = settings.auth === "xoauth2" || (settings.client_id && !settings.consumer_key);
  return h(
    "div",
    { class: "stack inboxes-beside" },
    wanted && consent(inbox),
    channel === "chat" &&
      line(
        t("inboxes.embed"),
        t("inboxes.embed_hint"),
        `<script type="module" src="${base()}/channels/chat/widget.js?inbox=${id}"></script>`,
        "demo" in document.documentElement.dataset &&
          linkButton({
            text: t("inboxes.demo"),
            icon: "chat",
            href: "/demo",
            target: "_blank",
            rel: "noopener",
            data: { native: true },
          }),
      ),
    channel === "email" &&
      settings.receive === "imap" &&
      line(t("inboxes.backfill"), t("inboxes.backfill_hint"), `helpdesk inbox backfill ${id} --since ${isoDay(30)}`),
    h(
      "section",
      { class: "card row spread" },
      h("div", {}, h("h3", {}, t("inboxes.reprocess")), h("p", { class: "hint" }, t("inboxes.reprocess_hint"))),
      button({ text: t("inboxes.reprocess_now"), run: again }),
    ),
  );
}
