// Coming in: the login, what letters lead to, and the password once more where the API wants it.

import { h } from "../kernel/dom.js";
import { language, LANGUAGES, chooseLanguage, t } from "../kernel/i18n.js";
import { login } from "./login.js";
import { forgotten, fromLetter } from "./letters.js";
export { proveAgain } from "./prove.js";

export function view(here) {
  const inside = () => {
    const { area, path, query } = here.value;
    if (area !== "session") return null; // gone already: what comes next is on its way
    if (path === "/invitation") return fromLetter("invitation");
    if (path === "/password-reset") return globalThis.helpdeskBoot?.link?.kind === "password-reset" ? fromLetter("password-reset") : forgotten();
    return login(query.get("next"));
  };
  return h(
    "div",
    { class: "session" },
    h("p", { class: "session-house" }, h("img", { src: new URL("../icon.svg", import.meta.url).href, alt: "", width: 28, height: 28 }), "Helpdesk"),
    h("section", { class: "card" }, inside),
    h("footer", {}, languages()),
  );
}

const languages = () =>
  h("nav", { class: "row", "aria-label": t("session.language") }, Object.entries(LANGUAGES).map(([tag, name]) =>
    h("button", { type: "button", class: "button quiet", lang: tag, "aria-pressed": String(tag === language), on: { click: () => chooseLanguage(tag) } }, name)));
