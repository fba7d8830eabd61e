// The password once more, where the API wants it before it lets anybody in or sends things elsewhere.

import { post } from "../kernel/api.js";
import { dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { form, textField } from "../kernel/form.js";
import { t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { secondStep } from "./login.js";

let asked = null;

/** Answers whether it was given. Several requests at once ask once. */
export function proveAgain() {
  asked ??= dialog({ title: t("session.again"), body }).then((given) => ((asked = null), Boolean(given)));
  return asked;
}

function body(close) {
  const second = secondStep();
  const password = textField({ label: t("session.password"), name: "password", type: "password", autocomplete: "current-password", autofocus: true });
  const send = (values) =>
    second.asked(async () => {
      await post("/auth/verify", { password: values.password, ...second.given(values) }, { quiet: true });
      close(true);
    });
  const fields = [h("p", { class: "soft" }, t("session.again_hint")), password, second.node, h("p", { class: "hint" }, t("session.again_sso"))];
  return form({ send, children: fields, buttons: button({ text: t("session.confirm"), kind: "primary", type: "submit" }) });
}
