// Coming in: the login with its second step, invitations, new passwords.

import { explain, get, post } from "../kernel/api.js";
import { dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { form, textField } from "../kernel/form.js";
import { language, LANGUAGES, chooseLanguage, t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { go, setTitle } from "../kernel/router.js";
import { signIn } from "../kernel/session.js";
import { signal } from "../kernel/signals.js";
import { toast } from "../kernel/toast.js";

// A letter's link is good once and never shown: boot.js took it out of the address.
const link = globalThis.helpdeskBoot?.link;

export function view(here) {
  const inside = () => {
    if (here.value.path === "/invitation") return fromLetter("invitation");
    if (here.value.path === "/password-reset") return link?.kind === "password-reset" ? fromLetter("password-reset") : forgotten();
    return login(here.value.query.get("next"));
  };
  return h("div", { class: "session" }, h("section", { class: "card" }, inside), h("footer", {}, languages()));
}

const languages = () =>
  h("nav", { class: "row", "aria-label": t("session.language") }, Object.entries(LANGUAGES).map(([tag, name]) =>
    h("button", { type: "button", class: "button quiet", lang: tag, "aria-pressed": String(tag === language), on: { click: () => chooseLanguage(tag) } }, name)));

function login(next) {
  setTitle(t("session.sign_in"));
  const second = signal(false);
  const email = textField({ label: t("session.email"), name: "email", type: "email", autocomplete: "username", required: true, autofocus: true });
  const password = textField({ label: t("session.password"), name: "password", type: "password", autocomplete: "current-password", required: true });
  const code = textField({ label: t("session.code"), hint: t("session.code_hint"), name: "totp", autocomplete: "one-time-code", inputmode: "numeric" });
  const send = async (values) => {
    try {
      const found = await post("/auth/login", { email: values.email, password: values.password, ...(values.totp ? { totp: values.totp } : {}) }, { quiet: true });
      if (signIn(found)) await go(next?.startsWith("/") && !next.startsWith("//") ? next : "/inbox", { replace: true });
    } catch (error) {
      if (error.slug !== "totp_required") throw error;
      second.value = true;
      code.input.focus();
    }
  };
  const elsewhere = document.documentElement.dataset.base;
  const fields = [email, password, h("div", { hidden: () => !second.value }, code)];
  return [
    h("h1", { tabindex: "-1", data: { focus: true } }, t("session.sign_in")),
    elsewhere && elsewhere !== location.origin && h("p", { class: "hint" }, t("session.elsewhere"), " ", h("a", { href: elsewhere, data: { native: true } }, elsewhere)),
    form({ send, children: fields, buttons: button({ text: t("session.sign_in"), kind: "primary", type: "submit" }) }),
    providers(),
    h("p", {}, h("a", { href: "/password-reset" }, t("session.forgot"))),
  ];
}

/** Where one can sign on elsewhere; nothing while there is none. */
function providers() {
  const found = signal([]);
  get("/auth/sso", undefined, { quiet: true }).then(({ items }) => (found.value = items), () => {});
  const begin = async (one) => {
    try {
      location.assign((await post(`/auth/sso/${one.id}/start`, undefined, { quiet: true })).url);
    } catch (error) {
      toast(explain(error), { kind: "wrong" });
    }
  };
  return () => found.value.map((one) => button({ text: t("session.sign_on", { name: one.name }), run: () => begin(one) }));
}

function forgotten() {
  setTitle(t("session.forgot"));
  const sent = signal(false);
  const send = async ({ email }) => {
    await post("/auth/forgot-password", { email }, { quiet: true });
    sent.value = true;
  };
  const email = textField({ label: t("session.email"), name: "email", type: "email", autocomplete: "username", required: true });
  return [
    h("h1", { tabindex: "-1", data: { focus: true } }, t("session.forgot")),
    h("p", { role: "status" }, () => (sent.value ? t("session.letter_sent") : t("session.letter"))),
    form({ send, children: email, buttons: button({ text: t("session.send_letter"), kind: "primary", type: "submit" }) }),
    h("p", {}, h("a", { href: "/login" }, t("session.sign_in"))),
  ];
}

function fromLetter(kind) {
  const invited = kind === "invitation";
  const title = invited ? t("session.invitation") : t("session.new_password");
  setTitle(title);
  if (link?.kind !== kind) return [h("h1", {}, title), h("p", {}, t("problem.link_invalid")), h("p", {}, h("a", { href: "/login" }, t("session.sign_in")))];
  const name = textField({ label: t("session.name"), name: "name", autocomplete: "name" });
  const password = textField({ label: t("session.password"), hint: t("session.password_hint"), name: "password", type: "password", autocomplete: "new-password", minlength: 10, required: true });
  const send = async (values) => {
    const body = { token: link.secret, password: values.password, ...(values.name ? { name: values.name } : {}) };
    await post(invited ? "/auth/accept-invitation" : "/auth/reset-password", body, { quiet: true });
    toast(t("session.chosen"), { kind: "done" });
    await go("/login", { replace: true });
  };
  return [
    h("h1", { tabindex: "-1", data: { focus: true } }, title),
    form({ send, children: [invited && name, password], buttons: button({ text: t("session.save_password"), kind: "primary", type: "submit" }) }),
  ];
}

/** The password once more, where the API wants it. Answers whether it was given. */
export function proveAgain() {
  return dialog({
    title: t("session.again"),
    body: (close) => {
      const second = signal(false);
      const password = textField({ label: t("session.password"), name: "password", type: "password", autocomplete: "current-password", autofocus: true });
      const code = textField({ label: t("session.code"), name: "totp", autocomplete: "one-time-code" });
      const send = async (values) => {
        try {
          await post("/auth/verify", { password: values.password, ...(values.totp ? { totp: values.totp } : {}) });
          close(true);
        } catch (error) {
          if (error.slug !== "totp_required") throw error;
          second.value = true;
          code.input.focus();
        }
      };
      const fields = [h("p", {}, t("session.again_hint")), password, h("div", { hidden: () => !second.value }, code)];
      return form({ send, children: fields, buttons: button({ text: t("session.confirm"), kind: "primary", type: "submit" }) });
    },
  }).then(Boolean);
}
