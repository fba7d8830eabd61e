// The settings: their pages at the side, each an area of its own that is loaded when it is gone to.

import { detached, focusOn, h } from "../kernel/dom.js";
import { icon } from "../kernel/icons.js";
import { say, t } from "../kernel/i18n.js";
import { empty, skeleton } from "../kernel/parts.js";
import { here, go, loadArea, setTitle } from "../kernel/router.js";
import { may } from "../kernel/session.js";
import { effect, onCleanup } from "../kernel/signals.js";
import { failed } from "./kit.js";
import { PAGES } from "./pages.js";

const GROUPS = ["self", "channels", "people", "work", "promises", "automation", "house"];
const NARROW = "(max-width: 720px)";

export function view() {
  setTitle(t("settings.title"));
  const allowed = PAGES.filter((one) => may(one.role));
  const groups = GROUPS.map((group) => [group, allowed.filter((one) => one.group === group)]).filter(
    ([, pages]) => pages.length,
  );
  const page = () => (here.value.area === "settings" ? (here.value.params.page ?? "") : "");
  return h(
    "div",
    { class: "settings", data: { at: () => (page() ? "page" : "pages") } },
    pageList(groups, page),
    pagePlace(groups, page),
  );
}

function pageList(groups, page) {
  const link = (one) =>
    h(
      "a",
      { href: `/settings/${one.path}`, "aria-current": () => (page() === one.path ? "page" : null) },
      say(one.path, "settings"),
    );
  const group = ([name, pages]) => h("section", {}, h("h3", {}, say(name, "settings.group")), pages.map(link));
  const title = h("h2", {}, t("settings.title"));
  const nav = h("nav", { class: "settings-pages", "aria-label": t("settings.title") }, title, groups.map(group));
  // There are more pages than a window is high: the one that was gone to by its address is in sight.
  requestAnimationFrame(() => nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" }));
  return nav;
}

const nowhere = () => empty({ title: t("shell.no_page"), text: t("shell.no_page_hint"), icon: "search" });

function pagePlace(groups, page) {
  const holder = h("div", { class: "settings-page" });
  const inside = h("div", { class: "settings-inside" });
  holder.append(
    h(
      "a",
      { class: "button quiet phone-only settings-up", href: "/settings" },
      icon("back"),
      h("span", {}, t("settings.title")),
    ),
    inside,
  );
  let shown = { dispose: () => {} };
  let at = "";
  onCleanup(() => shown.dispose());
  const show = (build, focus) => {
    shown.dispose();
    shown = detached(build);
    inside.replaceChildren(shown.value);
    if (focus) focusOn(inside.querySelector("[data-focus]"));
  };
  const load = (wanted, focus) => {
    show(() => skeleton(6));
    loadArea(wanted.area).then(
      (module) => at === wanted.path && show(() => module.view(here), focus),
      (error) => at === wanted.path && show(() => failed(error, () => load(wanted, true)), focus),
    );
  };
  effect(() => {
    const path = page();
    if (here.value.area !== "settings" || (path && path === at)) return;
    const pages = groups.flatMap(([, all]) => all);
    const wanted = pages.find((one) => one.path === path);
    if (!wanted) {
      at = "";
      if (path && !PAGES.some((one) => one.path === path)) return show(nowhere);
      // On a phone the list of pages is a screen of its own.
      if (path || !matchMedia(NARROW).matches) go(`/settings/${pages[0].path}`, { replace: true });
      return;
    }
    const first = !at;
    at = path;
    load(wanted, !first);
  });
  return holder;
}
