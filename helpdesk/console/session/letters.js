// What letters lead to: an invitation, a new password; and asking for such a letter.

import { post } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { form, textField } from "../kernel/form.js";
import { t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { go, setTitle } from "../kernel/router.js";
import { me } from "../kernel/session.js";
import { signal } from "../kernel/signals.js";
import { toast } from "../kernel/toast.js";

const toLogin = () => h("p", {}, h("a", { href: "/login" }, t("session.sign_in")));

export function forgotten() {
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
    toLogin(),
  ];
}

/** A letter's link is good once and never shown: boot.js took it out of the address. */
export function fromLetter(kind) {
  const link = globalThis.helpdeskBoot?.link;
  const invited = kind === "invitation";
  const title = invited ? t("session.invitation") : t("session.new_password");
  setTitle(title);
  const head = h("h1", { tabindex: "-1", data: { focus: true } }, title);
  if (link?.kind !== kind) return [head, h("p", {}, t("problem.link_invalid")), !invited && h("p", {}, h("a", { href: "/password-reset" }, t("session.send_letter"))), toLogin()];
  const name = textField({ label: t("session.name"), hint: t("session.name_hint"), name: "name", autocomplete: "name" });
  const password = textField({ label: t("session.password"), hint: t("session.password_hint"), name: "password", type: "password", autocomplete: "new-password", required: true });
  const send = async (values) => {
    const body = { token: link.secret, password: values.password, ...(values.name ? { name: values.name } : {}) };
    await post(invited ? "/auth/accept-invitation" : "/auth/reset-password", body, { quiet: true });
    globalThis.helpdeskBoot.link = null;
    me.value = null; // somebody else may have been signed in here
    toast(t("session.chosen"), { kind: "done" });
    await go("/login", { replace: true });
  };
  return [head, form({ send, children: [invited && name, password], buttons: button({ text: t("session.save_password"), kind: "primary", type: "submit" }) }), toLogin()];
}
