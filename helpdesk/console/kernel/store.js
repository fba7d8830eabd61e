// What the API has told of conversations and of the things they name, once for all who show it.

import { every, get } from "./api.js";
import { batch, signal } from "./signals.js";
import { onResync, onTouched } from "./stream.js";

const DETAILS = 30;
const WAIT_MS = 150;
const items = new Map();
const details = new Map();
const directories = new Map();
const loading = new Map();
const held = new Map();
const prefetching = new Set();

function entry(id) {
  if (!items.has(id)) items.set(id, signal(null));
  return items.get(id);
}

/** A conversation as lists show it; null until somebody has put it there. */
export const conversation = (id) => entry(id);

const older = (found, kept) => kept && (found.seq < kept.seq || found.version < kept.version);

/** Keep what an answer told. An answer that was overtaken by a later one changes nothing. */
export function put(found) {
  batch(() => {
    for (const item of [found].flat()) {
      const place = entry(item.id);
      if (!older(item, place.peek())) place.value = item;
      const detail = details.get(item.id);
      if (detail?.peek() && !older(item, detail.peek())) detail.value = { ...detail.peek(), ...item };
    }
  });
}

/** Forget one: it is out of sight now. */
export function drop(id) {
  if (items.has(id)) items.get(id).value = null;
  details.delete(id);
}

/** A conversation with all that the API tells of it; read now, and again when something happened to it. */
export function detail(id) {
  const found = details.get(id) ?? signal(null);
  details.delete(id);
  details.set(id, found); // the one that was used last goes last
  for (const [old] of details) {
    if (details.size <= DETAILS) break;
    if (!held.has(old)) details.delete(old);
  }
  if (!found.peek()) refresh(id).catch(() => {});
  return found;
}

/** Read a conversation again. Raises what the API answers: 404 for what is out of sight. */
export function refresh(id) {
  if (!loading.has(id)) {
    const answer = get(`/conversations/${id}`)
      .then((found) => {
        const place = details.get(id);
        if (place && !older(found, place.peek())) place.value = found;
        put(found);
        return found;
      })
      .finally(() => loading.delete(id));
    loading.set(id, answer);
  }
  return loading.get(id);
}

/** Keep the details of one that is shown, and read them again at once when something happens to it. Answers what ends it. */
export function hold(id) {
  held.set(id, (held.get(id) ?? 0) + 1);
  return () => (held.get(id) > 1 ? held.set(id, held.get(id) - 1) : held.delete(id));
}

/** Hear of what will be wanted soon, to fetch more of it than its details. */
export const onPrefetch = (handler) => void prefetching.add(handler);

/** Read one that will be wanted soon. */
export function prefetch(id) {
  detail(id);
  for (const handler of prefetching) handler(id);
}

let touched = new Set();
let timer = 0;
onTouched(({ ids }) => {
  for (const id of ids) if (details.get(id)?.peek()) touched.add(id);
  if (touched.size) timer ||= setTimeout(readTouched, WAIT_MS);
});

// Only what is shown, or was looked at last, is read again at once. Others are forgotten, and read when they are wanted.
function readTouched() {
  timer = 0;
  readAgain(touched);
  touched = new Set();
}

function readAgain(ids) {
  const last = [...details.keys()].at(-1);
  for (const id of ids) {
    if (id === last || held.has(id)) afterwards(id).catch((error) => error.status === 404 && drop(id));
    else details.delete(id);
  }
}

/** What was asked before it happened does not tell of it, however late the answer comes. */
const afterwards = (id) => (loading.has(id) ? loading.get(id).catch(() => {}).then(() => refresh(id)) : refresh(id));

onResync(() => {
  readAgain([...details.keys()]);
  for (const one of directories.values()) one.refresh().catch(() => {});
});

const PATHS = { categories: "/triage/categories" };
const WHOLE = new Set(["channels", "categories"]);

/**
 * A list that hardly changes, such as agents, teams, inboxes or tags: read once, kept, read again by `refresh`. What could not be
 * read is read when it is wanted next; `ready` fails only where there is nothing yet.
 */
export function directory(name) {
  if (!directories.has(name)) {
    const list = signal([]);
    const path = PATHS[name] ?? `/${name}`;
    const read = () => (WHOLE.has(name) ? get(path).then((found) => found.items) : every(path));
    let known = false;
    const made = {
      list,
      ready: null,
      byId: (id) => list.value.find((one) => id && (one.id === id || one.key === id || (!one.id && one.name === id))), // channels have a name alone
      refresh: () => {
        const reading = read().then((found) => ((known = true), (list.value = found)));
        made.ready = reading.catch((error) => {
          if (known) return list.peek();
          made.lost = true;
          throw error;
        });
        made.ready.catch(() => {});
        return reading;
      },
    };
    made.lost = true;
    directories.set(name, made);
  }
  const made = directories.get(name);
  if (made.lost) {
    made.lost = false;
    made.refresh().catch(() => {});
  }
  return made;
}

/** Comes when all of these that anybody has asked for are there, or refused. */
export const settled = () => Promise.allSettled([...directories.values()].map((one) => one.ready));
