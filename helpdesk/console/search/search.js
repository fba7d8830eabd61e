// Looking for what was said, and by whom.

import { get, isAbort } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { badge, empty, pane, spinner } from "../kernel/parts.js";
import { setQuery, setTitle } from "../kernel/router.js";
import { effect, signal } from "../kernel/signals.js";
import { attempt } from "../kernel/toast.js";

export function view(here) {
  setTitle(t("search.title"));
  const found = signal([]);
  const busy = signal(false);
  effect(() => {
    const q = (here.value.query.get("q") ?? "").trim();
    if (!q || here.value.area !== "search") {
      found.value = [];
      return undefined;
    }
    const going = new AbortController();
    busy.value = true;
    const answer = get("/search", { q, limit: 50 }, { signal: going.signal });
    attempt(answer.then(({ items }) => (found.value = items)).finally(() => (busy.value = going.signal.aborted)));
    return () => going.abort();
  });
  let timer = 0;
  const typed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => setQuery({ q: input.value }, { replace: true }), 250);
  };
  const input = h("input", { class: "input", type: "search", name: "q", autofocus: true, "aria-label": t("search.title"), placeholder: t("search.hint"), value: here.peek().query.get("q") ?? "", data: { focus: true }, on: { input: typed } });
  const none = () => !busy.value && here.value.query.get("q") && found.value.length === 0 && empty({ title: t("search.none"), text: t("search.none_hint"), icon: "search" });
  return pane({ title: t("search.title"), name: "search" }, h("div", { class: "narrow" }, input), h("div", { role: "status" }, () => (busy.value ? spinner() : null)), none, h("ul", { class: "stack plain" }, () => found.value.map(hit)));
}

const parts = (list) => list.map(({ text, hit: strong }) => (strong ? h("mark", {}, text) : text));

function hit(one) {
  const address = one.conversation ? `/conversations/${one.conversation.id}${one.message ? `?seq=${one.message.seq}` : ""}` : `/contacts/${one.contact?.id}`;
  return h("li", {}, h("a", { class: "card hit", href: address }, h("div", { class: "row spread" }, h("strong", { class: "cut" }, parts(one.title)), one.conversation && badge(say(one.conversation.status, "status"))), h("p", { class: "soft" }, parts(one.snippet))));
}
