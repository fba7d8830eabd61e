// The login: password and second step, or an account elsewhere.

import { explain, get, post } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { form, textField } from "../kernel/form.js";
import { has, say, t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { go, setTitle } from "../kernel/router.js";
import { me, signIn } from "../kernel/session.js";
import { flush, signal } from "../kernel/signals.js";
import { toast } from "../kernel/toast.js";

/** Only addresses of ours, as the browser reads them: it takes `/\t/host` for `//host`, which is another house. */
function within(next) {
  const url = next?.startsWith("/") && URL.canParse(next, location.origin) ? new URL(next, location.origin) : null;
  return url?.origin === location.origin ? url.href : "/inbox";
}

export function login(next) {
  setTitle(t("session.sign_in"));
  // Who is in already, as after a change of language, has nothing to do here.
  if (me.peek()) {
    queueMicrotask(() => go(within(next), { replace: true }));
    return null;
  }
  return [h("h1", { tabindex: "-1", data: { focus: true } }, t("session.sign_in")), trouble(), elsewhere(), byPassword(next), providers(), h("p", {}, h("a", { href: "/password-reset" }, t("session.forgot")))];
}

/** What the account elsewhere answered, if it sent somebody back without letting him in. */
function trouble() {
  const link = globalThis.helpdeskBoot?.link;
  // Anybody may have written the address: only words that we know are said here.
  return link?.kind === "sso" && h("p", { class: "error", role: "alert" }, has(`session.sso.${link.secret}`) ? say(link.secret, "session.sso") : t("session.sso.sso_refused"));
}

/** Cookies are for one origin: by another name of the same machine nobody can sign in. */
function elsewhere() {
  const { base } = document.documentElement.dataset;
  return base && base !== location.origin && h("p", { class: "hint" }, t("session.elsewhere"), " ", h("a", { href: base, data: { native: true } }, base));
}

function byPassword(next) {
  const second = secondStep();
  const email = textField({ label: t("session.email"), name: "email", type: "email", autocomplete: "username", required: true, autofocus: true });
  const password = textField({ label: t("session.password"), name: "password", type: "password", autocomplete: "current-password", required: true });
  const send = async (values) => {
    await second.asked(async () => {
      const found = await post("/auth/login", { email: values.email, password: values.password, ...second.given(values) }, { quiet: true });
      if (signIn(found)) await go(within(next), { replace: true });
    });
  };
  return form({ send, children: [email, password, second.node], buttons: button({ text: t("session.sign_in"), kind: "primary", type: "submit" }) });
}

/** The code of an authenticator: shown when the API asks for it, and not before. */
export function secondStep() {
  const wanted = signal(false);
  const code = textField({ label: t("session.code"), hint: t("session.code_hint"), name: "totp", autocomplete: "one-time-code", inputmode: "numeric" });
  return {
    node: h("div", { hidden: () => !wanted.value }, code),
    given: ({ totp }) => (wanted.peek() && totp.trim() ? { totp: totp.trim() } : {}),
    asked: async (work) => {
      try {
        return await work();
      } catch (error) {
        if (error.slug === "totp_wrong") code.input.select();
        if (error.slug !== "totp_required") throw error;
        wanted.value = true;
        flush();
        code.input.focus();
      }
    },
  };
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
  return () => found.value.length > 0 && h("div", { class: "stack session-other" }, found.value.map((one) => button({ text: t("session.sign_on", { name: one.name }), run: () => begin(one) })));
}
