// The bar of areas: at the side, and at the foot of a phone.

import { listenForAlerts, openAlerts } from "../alerts/bell.js";
import { h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { avatar } from "../kernel/parts.js";
import { menu } from "../kernel/popover.js";
import { go, here } from "../kernel/router.js";
import { may, me, prefer, preferences, signOut } from "../kernel/session.js";
import { effect, onCleanup, signal } from "../kernel/signals.js";
import { connection } from "../kernel/stream.js";
import { perform } from "../kernel/commands.js";
import { attempt } from "../kernel/toast.js";

const AWAY_MS = 10_000;
const timeOut = (act, ms) => clearTimeout.bind(null, setTimeout(act, ms));
const AREAS = [
  { href: "/inbox", area: "inbox", icon: "inbox", text: () => t("shell.inbox") },
  { href: "/search", area: "search", icon: "search", text: () => t("shell.search") },
  { href: "/contacts", area: "contacts", icon: "people", text: () => t("shell.contacts") },
  { href: "/board", area: "board", icon: "board", text: () => t("shell.board"), role: "supervisor" },
  { href: "/alerts", area: "alerts", icon: "bell", text: () => t("shell.alerts"), more: bell },
  { href: "/reports", area: "reports", icon: "chart", text: () => t("shell.reports") },
  { href: "/settings", area: "settings", icon: "settings", text: () => t("shell.settings") },
];

// A phone has room for these; the others are behind "more".
const FIRST = new Set(["inbox", "search", "alerts"]);

/** The number of open alerts, on the drawing. */
function bell(link) {
  listenForAlerts();
  const shown = () => (openAlerts.value?.count ? `${openAlerts.value.count}${openAlerts.value.more ? "+" : ""}` : "");
  effect(() => (shown() ? link.setAttribute("aria-label", t("shell.alerts_open", { count: shown() })) : link.removeAttribute("aria-label")));
  link.append(h("b", { class: () => ["bell", openAlerts.value?.critical && "bad"], hidden: () => !shown() }, shown));
}

export function areaBar() {
  // A moment without a connection is nobody's business; after that, what is shown may be old.
  const away = signal(false);
  effect(() => {
    if (connection.value !== "waiting") away.value = false;
    else onCleanup(timeOut(() => (away.value = true), AWAY_MS));
  });
  const link = ({ href, area, icon: name, text, role, more }) =>
    (!role || may(role)) &&
    h("a", { href, title: text(), "aria-current": () => (here.value.area === area ? "page" : null), class: !FIRST.has(area) && "beyond", ref: more }, icon(name), h("span", {}, text()));
  const account = h(
    "button",
    { type: "button", class: "account", "aria-label": () => t("shell.account", { name: me.value?.name ?? "" }), "aria-haspopup": "menu", on: { click: () => menu(account, ofAccount()) } },
    () => me.value && avatar({ id: me.value.id, name: me.value.name, size: 32 }),
  );
  const beyond = h(
    "button",
    { type: "button", class: "more-areas", "aria-haspopup": "menu", "aria-expanded": "false", "aria-current": () => (FIRST.has(here.value.area) ? null : "true"), on: { click: () => menu(beyond, moreAreas()) } },
    icon("more"),
    h("span", {}, t("shell.more")),
  );
  const lost = h("p", { class: "lost", role: "status" }, () => (connection.value === "offline" || away.value) && [icon("offline"), connection.value === "offline" ? t("shell.offline") : t("shell.away")]);
  return [h("nav", { class: "areas", "aria-label": t("shell.areas") }, AREAS.map(link), beyond, account), lost];
}

const moreAreas = () =>
  AREAS.filter(({ area, role }) => !FIRST.has(area) && (!role || may(role))).map(({ href, icon: name, text }) => ({ text: text(), icon: name, run: () => go(href) }));

function ofAccount() {
  const { theme, density } = preferences.peek();
  const dark = theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  return [
    { text: t("shell.profile"), icon: "person", run: () => go("/settings/account") },
    { text: t("shell.shortcuts"), icon: "keyboard", keys: "?", run: () => perform("shortcuts") },
    "-",
    { text: t("shell.dark"), checked: dark, run: () => attempt(prefer("theme", dark ? "light" : "dark")) },
    { text: t("shell.dense"), checked: density === "dense", run: () => attempt(prefer("density", density === "dense" ? "calm" : "dense")) },
    "-",
    { text: t("shell.sign_out"), icon: "logout", run: leave },
  ];
}

async function leave() {
  if ((await attempt(signOut())) === undefined) return;
  location.assign("/login");
}
