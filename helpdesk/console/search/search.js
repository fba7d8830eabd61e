// Looking for what was said, and by whom, in all that one may see.

import { explain, get, isAbort } from "../kernel/api.js";
import { h, when } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { composing } from "../kernel/keys.js";
import { avatar, badge, button, empty, pane, skeleton, tabs } from "../kernel/parts.js";
import { setQuery, setTitle } from "../kernel/router.js";
import { batch, computed, effect, onCleanup, signal, untracked } from "../kernel/signals.js";

const PAGE = 30;
const TYPING_MS = 200;

export function view(here) {
  const found = signal(null); // {items, next_cursor, truncated}, null while nothing is known
  const [busy, trouble] = [signal(false), signal(null)];
  const words = computed(() => (here.value.area === "search" ? (here.value.query.get("q") ?? "").trim() : ""));
  const kind = computed(() => here.value.query.get("kind") ?? "");
  let going = null;
  const read = async (more) => {
    going?.abort();
    const mine = (going = new AbortController());
    batch(() => ((busy.value = true), (trouble.value = null)));
    try {
      const query = { q: words.peek(), kind: kind.peek(), limit: PAGE, cursor: more ? found.peek().next_cursor : undefined };
      const next = await get("/search", query, { signal: mine.signal });
      found.value = more ? { ...next, items: [...found.peek().items, ...next.items] } : next;
    } catch (error) {
      if (!isAbort(error)) trouble.value = error;
    } finally {
      if (mine === going) busy.value = false;
    }
  };
  effect(() => {
    kind.value;
    setTitle(words.value ? t("search.title_of", { q: words.value }) : t("search.title"));
    untracked(() => (words.value ? read(false) : (going?.abort(), batch(() => ((found.value = null), (busy.value = false))))));
  });
  onCleanup(() => going?.abort());
  const list = h("ul", { class: "search-hits" }, () => found.value?.items.map(hit));
  const link = (name, text) => ({ text, href: `/search?${new URLSearchParams({ q: words.value, ...(name && { kind: name }) })}`, current: () => kind.value === name });
  const status = () => (busy.value || !found.value ? "" : t(found.value.next_cursor || found.value.truncated ? "search.first" : "search.found", { n: found.value.items.length }));
  return pane(
    { title: t("search.title"), name: "search" },
    h("div", { class: "search-box" }, field(here, list, () => read(false)), () => words.value && tabs(t("search.kinds"), [link("", t("search.all")), link("message", t("search.messages")), link("contact", t("search.contacts"))])),
    h("p", { class: "soft", role: "status" }, status),
    () => state({ found, busy, trouble, words, read }),
    list,
    when(() => found.value?.next_cursor, () => button({ text: t("search.more"), run: () => read(true) })),
    when(() => found.value?.truncated && !found.value.next_cursor, () => h("p", { class: "soft" }, t("search.truncated"))),
  );
}

/** The field; from it the arrows go on into what was found. */
function field(here, list, again) {
  let timer = 0;
  onCleanup(() => clearTimeout(timer));
  const tell = () => setQuery({ q: input.value.trim() }, { replace: true });
  const typed = (event) => {
    clearTimeout(timer);
    if (!event.isComposing) timer = setTimeout(tell, TYPING_MS);
  };
  const input = h("input", { class: "input", type: "search", name: "q", autocomplete: "off", "aria-label": t("search.title"), placeholder: t("search.hint"), value: here.peek().query.get("q") ?? "", data: { focus: true }, on: { input: typed, compositionend: typed } });
  const step = (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (composing(event) || (!by && !(event.key === "Enter" && event.target === input))) return;
    event.preventDefault();
    const links = [input, ...list.querySelectorAll("a")];
    if (by) links[Math.max(0, links.indexOf(document.activeElement) + by)]?.focus();
    else if (clearTimeout(timer), input.value.trim() === (here.peek().query.get("q") ?? "")) again();
    else tell();
  };
  for (const one of [input, list]) one.addEventListener("keydown", step);
  effect(() => {
    const q = here.value.query.get("q") ?? "";
    if (here.value.area === "search" && q !== input.value.trim()) input.value = q; // by the address, back and forth
  });
  queueMicrotask(() => input.isConnected && input.focus());
  return h("div", { class: "search-field" }, icon("search"), input);
}

function state({ found, busy, trouble, words, read }) {
  if (trouble.value) return empty({ title: explain(trouble.value), icon: "alert", action: button({ text: t("shell.again"), run: () => read(false) }) });
  if (!words.value) return empty({ title: t("search.begin"), text: t("search.begin_hint"), icon: "search" });
  if (!found.value) return skeleton(5);
  return found.value.items.length || busy.value ? null : empty({ title: t("search.none"), text: t("search.none_hint"), icon: "search" });
}

/** Parts of a text, those that were looked for marked. */
const parts = (list) => list.map(({ text, hit: strong }) => (strong ? h("mark", {}, text) : text));

const addressOf = ({ conversation, message, contact }) =>
  conversation ? `/conversations/${conversation.id}${message ? `?message=${message.seq}` : ""}` : `/contacts/${contact?.id}`;

function hit(one) {
  const { conversation, message, contact } = one;
  const who = message ? message.author?.name || say(message.author?.kind, "author") : (contact?.handles ?? []).map((it) => it.handle).join(" · ");
  return h(
    "li",
    {},
    h(
      "a",
      { class: "search-hit", href: addressOf(one) },
      conversation ? h("span", { class: "search-mark" }, icon({ chat: "chat", email: "mail" }[conversation.channel] ?? "people")) : avatar({ id: contact?.id, name: contact?.name, size: 28 }),
      h(
        "div",
        { class: "grow" },
        h("div", { class: "row" }, h("strong", { class: "cut" }, parts(one.title)), conversation && h("span", { class: "soft" }, `#${conversation.number}`), h("span", { class: "grow" }), message?.private && badge(t("search.note"), "note"), conversation && badge(say(conversation.status, "status")), h("time-ago", { class: "soft", brief: true, datetime: one.at })),
        who && h("p", { class: "soft cut" }, who),
        one.snippet.length > 0 && h("p", { class: "search-snippet" }, parts(one.snippet)),
      ),
    ),
  );
}
