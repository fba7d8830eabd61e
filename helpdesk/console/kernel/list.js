// A long list of which only what is in sight is in the document. Its rows are options of one listbox: the list itself
// keeps the focus, so that no row that goes or comes can take it along.

import { each, h, on } from "./dom.js";
import { composing } from "./keys.js";
import { computed, effect, measure, onCleanup, signal } from "./signals.js";

const BEYOND = 6; // rows kept above and below what is in sight
let lists = 0;

/**
 * `items()` are all that are known, `key(item)` their ids, `height()` of a row in pixels, `render(item$)` a row's content.
 * `active` is a signal of the id that the keys move, `selected` one of a Set of ids. `onEnd` asks for more.
 */
export function virtualList({ items: known, key, height, render, label, active, selected = signal(new Set()), onOpen, onEnd = () => {}, onSelect = () => {} }) {
  const id = `list-${(lists += 1)}`;
  const all$ = computed(known);
  const items = () => all$.value;
  const top = signal(0);
  const room = signal(800);
  const range = computed(() => {
    const from = Math.max(0, Math.floor(top.value / height()) - BEYOND);
    return [from, Math.min(items().length, Math.ceil((top.value + room.value) / height()) + BEYOND)];
  });
  const inSight = () => {
    const [from, to] = range.value;
    const found = items().slice(from, to).map((item, at) => ({ item, at: from + at }));
    // The row that the keys are at stays in the document, wherever it is: it is named to those who do not see it.
    const at = items().findIndex((item) => key(item) === active.value);
    if (at >= 0 && (at < from || at >= to)) found.push({ item: items()[at], at });
    return found;
  };
  const row = (one$) => {
    const mine = computed(() => key(one$.value.item));
    const content = computed(() => one$.value.item);
    return h(
      "div",
      {
        role: "option",
        class: () => ["list-row", mine.value === active.value && "active"],
        id: `${id}-${mine.peek()}`,
        data: { id: () => mine.value },
        "aria-selected": () => String(selected.value.has(mine.value)),
        "aria-posinset": () => one$.value.at + 1,
        "aria-setsize": () => items().length,
        style: { transform: () => `translateY(${one$.value.at * height()}px)`, height: () => `${height()}px` },
      },
      render(content),
    );
  };
  const element = h(
    "div",
    {
      class: "list",
      role: "listbox",
      tabindex: "0",
      "aria-label": label,
      "aria-multiselectable": "true",
      "aria-activedescendant": () => (items().some((item) => key(item) === active.value) ? `${id}-${active.value}` : null),
    },
    h("div", { class: "list-whole", role: "presentation", style: { height: () => `${items().length * height()}px` } }, each(inSight, (one) => key(one.item), row)),
  );

  on(element, "scroll", () => (top.value = element.scrollTop), { passive: true });
  const seen = new ResizeObserver(([entry]) => (room.value = entry.contentRect.height));
  seen.observe(element);
  onCleanup(() => seen.disconnect());
  effect(() => {
    if (items().length && range.value[1] >= items().length - BEYOND) onEnd();
  });

  /** Bring a row into sight. */
  const reveal = (wanted) =>
    measure(() => {
      const at = items().findIndex((item) => key(item) === wanted);
      if (at < 0) return;
      const from = at * height();
      if (from < element.scrollTop) element.scrollTop = from;
      else if (from + height() > element.scrollTop + element.clientHeight) element.scrollTop = from + height() - element.clientHeight;
    });

  // A row that is gone leaves its place: the one that follows it is next, and not the first of all.
  let left = 0;
  effect(() => {
    const at = items().findIndex((item) => key(item) === active.value);
    if (at >= 0) left = at;
    else if (!items().length) left = 0;
  });

  /** Move by so many rows; answers whether there was one. */
  const move = (by, { select = false } = {}) => {
    const all = items();
    const at = all.findIndex((item) => key(item) === active.peek());
    const next = all[Math.min(all.length - 1, Math.max(0, at < 0 ? left + by - (by > 0) : at + by))];
    if (!next) return false;
    if (select) toggle([active.peek(), key(next)].filter(Boolean), true);
    active.value = key(next);
    reveal(key(next));
    return true;
  };

  const toggle = (ids, chosen) => {
    selected.update((all) => {
      const next = new Set(all);
      for (const one of ids) (chosen ?? !all.has(one)) ? next.add(one) : next.delete(one);
      return next;
    });
    onSelect(selected.peek());
  };

  const between = (to) => {
    const all = items().map(key);
    const [from, until] = [all.indexOf(active.peek()), all.indexOf(to)].sort((a, b) => a - b);
    return from < 0 ? [to] : all.slice(from, until + 1);
  };

  on(element, "click", (event) => {
    const found = event.target.closest("[role=option]")?.dataset.id;
    if (!found) return;
    if (event.target.closest("[data-select]") || event.ctrlKey || event.metaKey) toggle([found]);
    else if (event.shiftKey) toggle(between(found), true);
    else onOpen?.(found);
    if (!event.shiftKey) active.value = found;
  });
  on(element, "keydown", (event) => {
    if (composing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(element.clientHeight / height()) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) move(steps[event.key], { select: event.shiftKey && event.key.startsWith("Arrow") });
    else if (event.key === "Enter" && active.peek()) onOpen?.(active.peek());
    else if (event.key === " " && active.peek()) toggle([active.peek()]);
    else return;
    event.preventDefault();
  });
  return Object.assign(element, { move, reveal, toggle });
}
