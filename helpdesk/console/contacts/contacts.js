// Contacts: everybody who has written to us, found by name or address; beside the list the one that is open.

import { get } from "../kernel/api.js";
import { detached, each, h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { avatar, badge, button, empty, linkButton } from "../kernel/parts.js";
import { here, loadArea, setQuery, setTitle } from "../kernel/router.js";
import { computed, effect, onCleanup, signal } from "../kernel/signals.js";
import { attempt } from "../kernel/toast.js";

const PAGE = 50;
const REST_MS = 250;

export function view() {
  const open = computed(() => (here.value.area === "contacts" && here.value.params.id) || null);
  effect(() => open.value || setTitle(t("contacts.title")));
  return h("div", { class: "contacts", data: { at: () => (open.value ? "one" : "list") } }, listPane(open), onePane(open));
}

function listPane(open) {
  const found = signal(null);
  const wrong = signal(false);
  const wanted = computed(() => (here.value.area === "contacts" ? (here.value.query.get("q") ?? "") : ""));
  let asked = 0;
  const read = async (cursor) => {
    const mine = (asked += 1);
    wrong.value = false;
    const answer = await attempt(get("/contacts", { ...asking(wanted.peek()), limit: PAGE, cursor }));
    if (mine !== asked) return;
    wrong.value = !answer;
    if (answer) found.value = { items: cursor ? [...found.peek().items, ...answer.items] : answer.items, next: answer.next_cursor };
  };
  effect(() => {
    wanted.value;
    read();
  });
  let timer = 0;
  onCleanup(() => clearTimeout(timer));
  const typed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => setQuery({ q: input.value.trim() || null }, { replace: true }), REST_MS);
  };
  const input = h("input", { class: "input", type: "search", "aria-label": t("contacts.find"), placeholder: t("contacts.find"), value: wanted.peek(), on: { input: typed } });
  const none = () => empty({ title: t("contacts.none"), text: wanted.value ? t("contacts.none_hint") : t("contacts.none_yet"), icon: "people" });
  return h(
    "section",
    { class: "pane contacts-list" },
    h("header", { class: "pane-head" }, h("h1", { tabindex: "-1", data: { focus: () => (open.value ? null : true) } }, t("contacts.title"))),
    h("div", { class: "contacts-find" }, input, h("p", { class: "hidden-text", role: "status" }, () => (found.value ? t("contacts.found", { n: found.value.items.length }) : ""))),
    h("nav", { class: "contacts-all", "aria-label": t("contacts.title") }, () => wrong.value && !found.value && button({ text: t("shell.again"), run: () => read() }), () => found.value?.items.length === 0 && none(), h("ul", {}, each(() => found.value?.items, (one) => one.id, (one$) => entry(one$, open))), () => found.value?.next && h("p", { class: "contacts-more" }, button({ text: t("contacts.more"), run: () => read(found.peek().next) }))),
  );
}

/** An address is looked for as it stands; names by the beginnings of their words. */
const asking = (text) => (/\S@\S/.test(text) ? { handle: text } : { q: text || undefined });

function entry(one$, open) {
  const name = () => one$.value.name || one$.value.identities[0]?.handle || t("contacts.unnamed");
  const handles = () => one$.value.identities.map((one) => one.handle).join(", ");
  const { id } = one$.peek();
  return h("li", {}, h("a", { class: "contacts-entry row", href: () => `/contacts/${id}${here.value.query.size ? `?${here.value.query}` : ""}`, "aria-current": () => (open.value === id ? "page" : null) }, () => avatar({ id, name: name(), size: 32 }), h("span", { class: "grow" }, h("bdi", { class: "cut" }, name), h("span", { class: "soft cut" }, handles)), () => one$.value.blocked && badge(t("contacts.blocked"), "bad")));
}

function onePane(open) {
  const holder = h("section", { class: "pane contacts-one", "aria-label": t("contacts.one") }, h("div", { class: "phone-only contacts-back" }, linkButton({ icon: "back", text: t("contacts.title"), kind: "quiet", href: () => `/contacts${here.value.query.size ? `?${here.value.query}` : ""}` })));
  const place = h("div", { class: "contacts-page" });
  holder.append(place);
  let shown = { dispose: () => {} };
  onCleanup(() => shown.dispose());
  effect(() => {
    const id = open.value;
    shown.dispose();
    if (!id) return void place.replaceChildren(empty({ title: t("contacts.choose"), text: t("contacts.choose_hint"), icon: "person" }));
    loadArea("beside").then((module) => {
      if (open.peek() !== id) return;
      shown.dispose();
      shown = detached(() => module.contactPage(id));
      place.replaceChildren(shown.value);
    }, () => {});
  });
  return holder;
}
