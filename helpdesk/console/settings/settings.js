// The settings: their pages at the side, each an area of its own that is loaded when it is gone to.

import { detached, h } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { here, go, loadArea, setTitle } from "../kernel/router.js";
import { may } from "../kernel/session.js";
import { effect, onCleanup } from "../kernel/signals.js";
import { PAGES } from "./pages.js";

export function view() {
  setTitle(t("settings.title"));
  const allowed = PAGES.filter((one) => may(one.role));
  const groups = Map.groupBy(allowed, (one) => one.group);
  const holder = h("div", { class: "settings-page" });
  let shown = { dispose: () => {} };
  onCleanup(() => shown.dispose());
  effect(() => {
    const { area, params } = here.value;
    if (area !== "settings") return;
    const page = allowed.find((one) => one.path === params.page);
    if (!page) {
      go(`/settings/${allowed[0].path}`, { replace: true });
      return;
    }
    loadArea(page.area).then((module) => {
      if (here.peek().params.page !== page.path || holder.dataset.page === page.path) return;
      holder.dataset.page = page.path;
      shown.dispose();
      shown = detached(() => module.view(here));
      holder.replaceChildren(shown.value);
    }, () => {});
  });
  const link = (one) => h("a", { href: `/settings/${one.path}`, "aria-current": () => (here.value.params.page === one.path ? "page" : null) }, say(one.path, "settings"));
  return h("div", { class: "settings" }, h("nav", { class: "pane settings-pages", "aria-label": t("settings.title") }, h("h2", {}, t("settings.title")), [...groups].map(([group, pages]) => [h("h3", {}, say(group, "settings.group")), pages.map(link)])), holder);
}
