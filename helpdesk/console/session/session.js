// Coming in: the login, what letters lead to, and the password once more where the API wants it.

import { h } from "../kernel/dom.js";
import { language, LANGUAGES, chooseLanguage, t } from "../kernel/i18n.js";
import { spinner } from "../kernel/parts.js";
import { loadArea } from "../kernel/router.js";
import { signal, untracked } from "../kernel/signals.js";
import { login } from "./login.js";
import { forgotten, fromLetter } from "./letters.js";
export { proveAgain } from "./prove.js";

export function view(here) {
  const inside = () => {
    const { area, path, query } = here.value;
    if (area !== "session") return null; // gone already: what comes next is on its way
    if (path === "/invitation") return fromLetter("invitation");
    if (path === "/password-reset") return globalThis.helpdeskBoot?.link?.kind === "password-reset" ? fromLetter("password-reset") : forgotten();
    if (path === "/welcome") return welcome();
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

/** The first run. It is one day in the life of a house: nobody else loads it. */
function welcome() {
  const module = signal(null);
  loadArea("session/wizard").then((found) => (module.value = found), () => {});
  return () => (module.value ? untracked(() => module.value.view()) : spinner());
}

// The page is loaded anew in the other language: what a letter brought is handed on to it.
function choose(tag) {
  const link = globalThis.helpdeskBoot?.link;
  const kept = link && link.kind !== "sso" && tag !== language;
  const address = location.href;
  if (kept) history.replaceState(null, "", `/#${link.kind}=${encodeURIComponent(link.secret)}`);
  if (!chooseLanguage(tag) && kept) history.replaceState(null, "", address);
}

const languages = () =>
  h("nav", { class: "row", "aria-label": t("session.language") }, Object.entries(LANGUAGES).map(([tag, name]) =>
    h("button", { type: "button", class: "button quiet", lang: tag, "aria-pressed": String(tag === language), on: { click: () => choose(tag) } }, name)));
