// The password, and the second step beside it.

import { del, post } from "../../kernel/api.js";
import { dialog } from "../../kernel/dialog.js";
import { h } from "../../kernel/dom.js";
import { form, textField } from "../../kernel/form.js";
import { t } from "../../kernel/i18n.js";
import { badge, button } from "../../kernel/parts.js";
import { me, refreshMe } from "../../kernel/session.js";
import { toast } from "../../kernel/toast.js";
import { shownOnce } from "../once.js";
import { drawn } from "./qr.js";

const ownPassword = () =>
  textField({
    name: "password",
    label: t("account.password_now"),
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
const code = (hint = t("account.code_hint")) =>
  textField({
    name: "code",
    label: t("account.code"),
    hint,
    inputmode: "numeric",
    autocomplete: "one-time-code",
    required: true,
  });

export function password(change) {
  const send = async ({ password: now, new_password: next }, element) => {
    await change({ password: now, new_password: next });
    element.reset();
    toast(t("account.password_changed"), { kind: "done" });
  };
  const next = textField({
    name: "new_password",
    label: t("account.password_new"),
    hint: t("account.password_hint"),
    type: "password",
    autocomplete: "new-password",
    required: true,
  });
  return h(
    "section",
    { class: "card stack" },
    h("h2", {}, t("account.password")),
    form({
      send,
      children: [ownPassword(), next],
      buttons: button({ text: t("account.password_change"), type: "submit" }),
    }),
  );
}

export function twoSteps() {
  return h(
    "section",
    { class: "card stack" },
    h("div", { class: "row" }, h("h2", { class: "grow" }, t("account.two_steps")), () =>
      badge(me.value?.totp ? t("account.on") : t("account.off"), me.value?.totp ? "good" : ""),
    ),
    h("p", { class: "soft" }, t("account.two_steps_about")),
    () =>
      h(
        "div",
        { class: "row" },
        me.value?.totp
          ? [
              button({ text: t("account.new_codes"), run: renewCodes }),
              button({ text: t("account.two_steps_off"), run: takeOff }),
            ]
          : button({ text: t("account.two_steps_on"), run: putOn }),
      ),
  );
}

/** Password, then the drawing for the authenticator, then its first code; at the end the recovery codes, once. */
const putOn = () =>
  dialog({
    title: t("account.two_steps_on"),
    body: (close) => {
      const place = h("div", { class: "stack" });
      const show = (...nodes) => (place.replaceChildren(...nodes), place.querySelector("input")?.focus());
      const confirm = async (values) => {
        const { recovery_codes: codes } = await post("/me/totp/confirm", { code: values.code.trim() });
        await refreshMe();
        show(...recovery(codes, close));
      };
      const begin = async ({ password: given }) => {
        const found = await post("/me/totp", { password: given });
        show(
          h("p", {}, t("account.scan")),
          drawn(found.otpauth_uri, t("account.scan")),
          shownOnce(t("account.secret"), found.secret, t("account.secret_hint")),
          form({
            send: confirm,
            children: code(t("account.first_code")),
            buttons: button({ text: t("account.confirm"), kind: "primary", type: "submit" }),
          }),
        );
        place.querySelector("[name=code]").focus();
      };
      show(
        form({
          send: begin,
          children: ownPassword(),
          buttons: button({ text: t("account.go_on"), kind: "primary", type: "submit" }),
        }),
      );
      return place;
    },
  });

const recovery = (codes, close) => [
  h("p", {}, t("account.recovery")),
  h("ol", { class: "account-codes" }, codes.map((one) => h("li", {}, one))),
  shownOnce(t("account.all_codes"), codes.join(" ")),
  h("div", { class: "row" }, button({ text: t("account.kept"), kind: "primary", run: () => close(true) })),
];

const withBoth = (title, text, send) =>
  dialog({
    title,
    body: (close) => {
      const place = h("div", { class: "stack" }, h("p", { class: "soft" }, text));
      const go = (values) => send({ password: values.password, totp: values.code.trim() }, place, close);
      place.append(
        form({
          send: go,
          children: [ownPassword(), code()],
          buttons: button({ text: t("account.confirm"), kind: "primary", type: "submit" }),
        }),
      );
      return place;
    },
  });

const renewCodes = () =>
  withBoth(t("account.new_codes"), t("account.new_codes_text"), async (given, place, close) =>
    place.replaceChildren(...recovery((await post("/me/recovery-codes", given)).recovery_codes, close)),
  );

const takeOff = () =>
  withBoth(t("account.two_steps_off"), t("account.two_steps_off_text"), async (given, _place, close) => {
    await del("/me/totp", { version: me.peek().version, body: given });
    await refreshMe();
    toast(t("account.saved"), { kind: "done" });
    close(true);
  });
