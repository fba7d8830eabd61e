// The conversations of one list: read page by page, and then kept up with what happens by asking for the rows that
// something happened to, with the list's own filters. What does not come back has left the list.

import { get, isAbort, Problem } from "../kernel/api.js";
import { batch, effect, onCleanup, signal, untracked } from "../kernel/signals.js";
import { conversation, put } from "../kernel/store.js";
import { onResync, onTouched } from "../kernel/stream.js";
import { PAGE } from "./asking.js";
import { arranged, orderOf } from "./order.js";

const AGAIN_MS = 500; // between two questions for rows
const LATER_MS = 4000; // after one that failed
const AT_ONCE = 100; // ids, as the API takes
const EMPTY_PAGES = 5; // a page of a filter may be empty and not be the last one
export const MOST = 2000; // rows: who has more wants a filter and not a longer list

const itemOf = (id) => conversation(id).peek();

/**
 * `wanted` is a signal of the query, `sort()` its order, `still()` whether rows may come and move now: while not, those
 * that wait are in `waiting` until `show()`. While `pointing()` no row leaves either. `place(change)` makes a change
 * without what is in sight moving.
 */
export function feed({ wanted, sort, speaksOfSpam, still, pointing, place }) {
  const [ids, more, busy, trouble, waiting] = [signal(null), signal(false), signal(false), signal(null), signal(new Set())];
  const late = new Set(); // answered, and not yet put where they belong
  const lost = new Set(); // gone, and still shown
  const pending = new Set(); // to be asked for
  let [cursor, round, timer, last] = [null, 0, 0, -AGAIN_MS];

  const pageFrom = async (from) => {
    let found = { items: [], next_cursor: from };
    for (let tries = 0; tries < EMPTY_PAGES && !found.items.length && (tries === 0 || found.next_cursor); tries += 1) {
      found = await get("/conversations", { ...wanted.peek(), cursor: found.next_cursor ?? undefined });
    }
    return found;
  };
  /** Read, and take in what came unless another list is wanted by now. */
  const reading = async (work, change) => {
    const mine = round;
    busy.value = true;
    try {
      const found = await work();
      if (mine !== round) return;
      put(found.items);
      cursor = found.next_cursor;
      batch(() => {
        trouble.value = null;
        change(found.items.map((one) => one.id).filter(itemOf));
        more.value = Boolean(cursor) && ids.peek().length < MOST;
      });
    } catch (error) {
      if (mine === round && !isAbort(error)) trouble.value = error;
    } finally {
      if (mine === round) {
        busy.value = false;
        if (pending.size) soon(); // named while the page was on its way
      }
    }
  };
  const forget = () => {
    round += 1;
    for (const one of [late, lost, pending]) one.clear();
    waiting.value = new Set();
  };
  /** As much anew as is shown, in one stroke. */
  const read = () => {
    forget();
    const enough = Math.min(ids.peek()?.length ?? 0, 4 * PAGE);
    const all = async () => {
      let found = await pageFrom();
      while (found.next_cursor && found.items.length < enough) {
        const next = await pageFrom(found.next_cursor);
        found = { items: [...found.items, ...next.items], next_cursor: next.next_cursor };
      }
      return found;
    };
    return reading(all, (fresh) => change([...new Set(fresh)]));
  };
  const further = () => {
    if (busy.peek() || !more.peek() || trouble.peek()) return;
    reading(() => pageFrom(cursor), (fresh) => (ids.value = [...new Set([...ids.peek(), ...fresh])]));
  };

  const soon = (ms) => (timer ||= setTimeout(ask, ms ?? Math.max(0, AGAIN_MS - (performance.now() - last))));
  async function ask() {
    [timer, last] = [0, performance.now()];
    if (ids.peek() === null || !pending.size) return;
    const mine = round;
    const some = [...pending].slice(0, AT_ONCE);
    for (const id of some) pending.delete(id);
    const query = { ...wanted.peek(), id: some, limit: AT_ONCE };
    try {
      // Spam is left out of a list that does not speak of it, but not where conversations are named.
      const found = await get("/conversations", speaksOfSpam() ? query : { ...query, spam: false });
      if (mine === round) takeIn(some, found.items);
    } catch (error) {
      const refused = error instanceof Problem && error.status < 500 && error.status !== 429;
      if (mine !== round || refused) return;
      for (const id of some) pending.add(id);
      soon(LATER_MS);
    }
    if (pending.size) soon();
  }

  const change = (next) => {
    const now = ids.peek() ?? [];
    if (ids.peek() && next.length === now.length && next.every((id, at) => id === now[at])) return;
    place(() => (ids.value = next));
  };
  const settled = () => arranged((ids.peek() ?? []).filter((id) => !lost.has(id)), [...late].map(itemOf).filter(Boolean), orderOf(sort()), itemOf, !cursor);
  const takeIn = (some, found) => {
    put(found);
    const back = new Set(found.map((one) => one.id));
    for (const id of some) {
      (back.has(id) ? late : lost).add(id);
      (back.has(id) ? lost : late).delete(id);
    }
    if (still()) return show();
    const next = settled();
    const rank = new Map(ids.peek().map((id, at) => [id, at]));
    waiting.value = new Set(next.filter((id, at) => late.has(id) && (rank.get(id) ?? Infinity) > at));
    if (!pointing()) letGo();
  };
  const letGo = () => {
    change((ids.peek() ?? []).filter((id) => !lost.has(id)));
    lost.clear();
  };
  /** Let in what waits. */
  const show = () => {
    if (!ids.peek()) return;
    const next = settled();
    late.clear();
    lost.clear();
    waiting.value = new Set();
    change(next);
  };

  effect(() => {
    const key = JSON.stringify(wanted.value);
    untracked(() => {
      const kept = seen.get(key);
      cursor = kept?.cursor ?? null;
      batch(() => {
        trouble.value = null;
        ids.value = kept?.ids.filter(itemOf) ?? null;
        more.value = Boolean(cursor);
      });
      read();
    });
    return () => ids.peek() && keep(key, { ids: ids.peek(), cursor });
  });
  effect(() => {
    if (still()) untracked(show);
    else if (!pointing() && lost.size) untracked(letGo);
  });
  onCleanup(
    onTouched(({ ids: touched }) => {
      for (const id of touched) pending.add(id);
      soon();
    }),
  );
  onCleanup(onResync(read));
  onCleanup(() => (clearTimeout(timer), (round += 1)));
  return { ids, more, busy, trouble, waiting, read, further, show };
}

/** Lists that were looked at: gone back to, they are there at once, and read anew behind that. */
const seen = new Map();
function keep(key, list) {
  seen.delete(key);
  seen.set(key, list);
  if (seen.size > 12) seen.delete(seen.keys().next().value);
}
