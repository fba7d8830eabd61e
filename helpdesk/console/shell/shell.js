// What is around every screen: the bar of areas, the state of the connection, and the area itself.

import "../kernel/clocks.js";
import { explain, Offline, Problem, whenSignedOut, whenUnverified } from "../kernel/api.js";
import { detached, focusOn, h, mount } from "../kernel/dom.js";
import { t, loadTexts } from "../kernel/i18n.js";
import { button, empty, linkButton } from "../kernel/parts.js";
import { listenToKeys } from "../kernel/keys.js";
import { go, here, loadArea, takeUpLinks } from "../kernel/router.js";
import { me, refreshMe, signIn } from "../kernel/session.js";
import { effect, signal, settled, untracked } from "../kernel/signals.js";
import { start, stop } from "../kernel/stream.js";
import { place, toast } from "../kernel/toast.js";
import { areaBar } from "./bar.js";
import { generalCommands } from "./commands.js";

const OPEN_TO_ALL = "session";

/** Begin: find out who is here, load what the address shows, and show it. */
export async function open() {
  const texts = loadTexts("shell");
  const asked = refreshMe().catch((error) => error);
  // The module of the area is asked for beside the question who is here; whoever is nobody needs it soon enough.
  if (here.peek().area) loadArea(here.peek().area).catch(() => {});
  await texts;
  const found = await asked;
  // Only who is told so has no session: a desk that is restarting tells nothing of it.
  if (found instanceof Offline || (found instanceof Problem && (found.status >= 500 || found.status === 429))) return failed(found);
  if (found?.email && !signIn(found)) return;
  whenSignedOut(() => {
    if (here.peek().area === OPEN_TO_ALL) return;
    me.value = null;
    stop();
    go(loginFor(here.peek()), { replace: true });
  });
  whenUnverified(async () => (await loadArea(OPEN_TO_ALL)).proveAgain());
  takeUpLinks();
  listenToKeys();
  mount(document.body, frame);
  place();
}

const loginFor = ({ path, query }) => {
  const next = path + (query.size ? `?${query}` : "");
  return path === "/" ? "/login" : `/login?next=${encodeURIComponent(next)}`;
};

function failed(error) {
  const again = button({ text: t("shell.again"), kind: "primary", run: () => location.reload() });
  document.body.replaceChildren(empty({ title: explain(error), icon: "offline", action: again }));
}

/** What nobody has answered for is told all the same: a click that does nothing says nothing of why. */
addEventListener("unhandledrejection", ({ reason }) => {
  if (reason?.slug === "unauthenticated" || !me.peek()) return;
  if (reason instanceof Problem || reason instanceof Offline) toast(explain(reason), { kind: "wrong" });
  else if (!navigator.onLine) toast(t("problem.offline"), { kind: "wrong" });
});

function frame() {
  const signedIn = () => Boolean(me.value) && here.value.area !== OPEN_TO_ALL;
  const main = h("main", { id: "main", tabindex: "-1" });
  effect(() => {
    if (me.value) untracked(() => start(me.peek().id));
    else if (here.value.area !== OPEN_TO_ALL) go(loginFor(here.value), { replace: true });
  });
  showAreas(main);
  generalCommands();
  return h(
    "div",
    { class: () => ["frame", signedIn() && "signed-in"] },
    h("a", { class: "skip", href: "#main", data: { native: true }, on: { click: (event) => (event.preventDefault(), main.focus()) } }, t("shell.skip")),
    () => (signedIn() ? untracked(areaBar) : null),
    main,
  );
}

/** An area is shown until another one is gone to; within it, it follows the address by itself. */
function showAreas(main) {
  const wanted = signal("");
  let shown = { dispose: () => {} };
  const show = (view) => {
    shown.dispose();
    shown = detached(view);
    main.replaceChildren(shown.value);
  };
  effect(() => {
    const { area } = here.value;
    wanted.value = area === OPEN_TO_ALL || me.value ? area : "";
  });
  effect(() => {
    if (here.value.area || !me.value) return;
    const home = linkButton({ text: t("shell.inbox"), kind: "primary", href: "/inbox" });
    show(() => empty({ title: t("shell.no_page"), text: t("shell.no_page_hint"), icon: "search", action: home }));
  });
  effect(() => {
    const area = wanted.value;
    if (!area) return;
    loadArea(area).then(
      (module) => {
        if (wanted.peek() !== area) return;
        const first = !main.childElementCount;
        show(() => module.view(here));
        if (!first) focusOn(main.querySelector("[data-focus]") ?? main);
      },
      () => wanted.peek() === area && show(() => empty({ title: t("problem.unknown"), icon: "alert", action: button({ text: t("shell.again"), run: () => location.reload() }) })),
    );
  });
}

/** For tests: whether all that was begun has been shown. */
globalThis.helpdeskIdle = () => settled() && Boolean(document.querySelector("main > *"));
