// A list that goes on as it is read: page by page by the API's cursor, and begun anew when what is asked for changes.

import { explain, get, isAbort } from "./api.js";
import { each, h } from "./dom.js";
import { t } from "./i18n.js";
import { button, empty, skeleton } from "./parts.js";
import { batch, effect, onCleanup, signal, untracked } from "./signals.js";

const PAGE = 50;

const byId = (one) => one.id;

/**
 * `query()` is what `path` is asked with, and followed; `row(item$)` makes a `<li>`; `none()` stands where there is
 * nothing. `found(items)` hears of each page before it is shown. `label` is the list's name, `kind` its class.
 */
export function endless({ path, query, row, none, label, kind, found = () => {}, key = byId }) {
  const [items, next, wrong] = [signal(null), signal(null), signal(null)];
  let going = null;
  const read = async (on) => {
    going?.abort();
    const mine = (going = new AbortController());
    wrong.value = null;
    try {
      const asked = { limit: PAGE, ...untracked(query), cursor: on ? next.peek() : undefined };
      const page = await get(path, asked, { signal: mine.signal });
      found(page.items);
      const all = on ? [...items.peek(), ...page.items] : page.items;
      batch(() => ((items.value = all), (next.value = page.next_cursor)));
    } catch (error) {
      if (!isAbort(error)) wrong.value = error;
    }
  };
  effect(() => {
    query();
    untracked(() => (batch(() => ((items.value = null), (next.value = null))), read(false)));
  });
  onCleanup(() => going?.abort());
  const again = () => button({ text: t("shell.again"), run: () => read(Boolean(items.peek())) });
  const state = () => {
    if (wrong.value) return empty({ icon: "offline", title: explain(wrong.value), action: again() });
    return items.value ? !items.value.length && none() : skeleton(6);
  };
  const looks = { class: kind, "aria-label": label, hidden: () => !items.value?.length };
  const list = h("ul", looks, each(() => items.value, key, row));
  return h("div", { class: "endless" }, list, state, more(next, wrong, () => read(true)));
}

/** Goes on by itself when it comes into sight, and by a click where nothing tells of that. */
function more(next, wrong, run) {
  const node = button({ text: t("shell.more"), run, hidden: () => !next.value || Boolean(wrong.value) });
  const watch = new IntersectionObserver(([one]) => one.isIntersecting && node.click());
  // Looked at anew after each page: it may still be in sight.
  effect(() => (watch.disconnect(), next.value && !wrong.value && watch.observe(node)));
  onCleanup(() => watch.disconnect());
  return node;
}
