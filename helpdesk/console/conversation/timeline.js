// What was said and done in a conversation, newest page first: kept for the last few conversations, so that going back to
// one paints at once, and brought up to date by what is newer and never as a whole.

import { every, get } from "../kernel/api.js";
import { batch, signal } from "../kernel/signals.js";

const PAGE = 50;
const KEPT = 20;
const EVENTS = 300; // of one stretch of messages; more than that is no reading matter
const KINDS = "conversation.created,conversation.updated,conversation.assigned,conversation.status_changed,conversation.merged,sla.warning,sla.breached,sla.met,escalation.advanced,alert.raised,alert.acknowledged";
const DRAWN = new Set(KINDS.split(","));
const kept = new Map();

/** The time line of a conversation: `messages` (ascending, null until read), `events`, `more` (there are older ones). */
export function timeline(id) {
  const found = kept.get(id) ?? made(id);
  kept.delete(id);
  kept.set(id, found);
  for (const [old] of kept) {
    if (kept.size <= KEPT) break;
    kept.delete(old);
  }
  return found;
}

/** Read one that will be wanted soon, if it is not here. */
export function warm(id) {
  const one = timeline(id);
  if (!one.messages.peek()) one.refresh().catch(() => {});
}

function made(id) {
  const path = `/conversations/${id}`;
  const messages = signal(null);
  const events = signal([]);
  const more = signal(false);
  let since = null; // events are known from this time on; null: none yet
  let loading = null;

  /** Take in what was read. What is the same as before stays the same object, so that nothing of it is drawn again. */
  const take = (found) => {
    const all = new Map((messages.peek() ?? []).map((one) => [one.id, one]));
    for (const one of found) if (!same(all.get(one.id), one)) all.set(one.id, one);
    messages.value = [...all.values()].sort((one, other) => one.seq - other.seq);
  };
  const takeEvents = (found) => {
    const all = new Map(events.peek().map((one) => [one.id, one]));
    for (const one of found) if (DRAWN.has(one.type) && !all.has(one.id)) all.set(one.id, one);
    if (all.size !== events.peek().length) events.value = [...all.values()].sort((one, other) => compareTimes(one.occurred_at, other.occurred_at));
  };

  const refresh = async () => {
    const before = new Set((messages.peek() ?? []).map((one) => one.id));
    const [page, told] = await Promise.all([
      get(`${path}/messages`, { order: "desc", limit: PAGE }),
      get(`${path}/events`, { order: "desc", limit: 100, types: KINDS }),
    ]);
    const known = messages.peek()?.at(-1)?.seq ?? -1;
    // Where more has come than a page, what is known does not join on to it.
    const apart = !messages.peek() || (page.next_cursor && page.items.at(-1).seq > known);
    batch(() => {
      if (apart) {
        messages.value = (messages.peek() ?? []).filter((one) => page.items.some((other) => other.id === one.id));
        events.value = [];
        more.value = Boolean(page.next_cursor);
        since = null;
      } else {
        // What was known, belongs into this page and is not in it has gone: split off, or back to where it came from.
        const from = page.next_cursor ? page.items.at(-1).seq : 0;
        const here = new Set(page.items.map((one) => one.id));
        const stays = (one) => here.has(one.id) || !before.has(one.id) || one.seq < from;
        if (!messages.peek().every(stays)) messages.value = messages.peek().filter(stays);
      }
      take(page.items);
      takeEvents(told.items);
      if (apart) since = told.next_cursor ? (told.items.at(-1)?.occurred_at ?? null) : "";
    });
    if (apart) await eventsDownTo(oldest());
  };
  const oldest = () => (more.peek() ? (messages.peek()?.[0]?.created_at ?? "") : "");

  /** Read the events down to a time, "" for all of them. */
  const eventsDownTo = async (time, around = atOnce) => {
    if (since === "" || since === null || (time && since <= time)) return;
    const before = since;
    since = time;
    const found = await every(`${path}/events`, { order: "desc", types: KINDS, after: time || undefined, before }, EVENTS);
    around(() => takeEvents(found));
  };

  const newer = async () => {
    const last = messages.peek()?.at(-1)?.seq;
    if (last === undefined) return refresh();
    take(await every(`${path}/messages`, { after_seq: last }));
  };

  const once = (work) => (loading ??= work().finally(() => (loading = null)));
  return {
    id,
    messages,
    events,
    more,
    seen: 0,
    since: () => oldest(),
    refresh: () => once(refresh),
    /** Read anew what has changed by now: what is being read was asked for before. */
    afresh: async () => (await loading?.catch(() => {}), once(refresh)),
    newer,
    takeEvents,
    /** Read one message again: its delivery, or whether it is hidden, has changed. */
    again: async (message) => {
      const found = await get(`/messages/${message}`);
      // One that is further back than what was read comes with its page: alone it would hide the others before it.
      if (messages.peek() && (!more.peek() || found.seq >= messages.peek()[0]?.seq)) take([found]);
    },
    /** Read an older page. `around(apply)` puts it in, so that the reader's place can be kept. */
    older: (around = atOnce) =>
      once(async () => {
        const page = await get(`${path}/messages`, { order: "desc", limit: PAGE, before_seq: messages.peek()[0].seq });
        around(() =>
          batch(() => {
            take(page.items);
            more.value = Boolean(page.next_cursor);
          }),
        );
        await eventsDownTo(oldest(), around);
      }),
  };
}

const atOnce = (apply) => apply();
const compareTimes = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
const same = (one, other) => one !== undefined && JSON.stringify(one) === JSON.stringify(other);

/** When a message was said, as its sender's channel tells. */
export const saidAt = (message) => (message.type === "incoming" && message.received_at) || message.created_at;

const JOINED_MS = 5 * 60_000;
const dayOf = (at) => new Date(at).toDateString();

/**
 * The rows that are drawn: days, messages, and the events between them as one row each. Rows that came out the same are the same
 * objects as in `before`, a Map by key that is changed to the new ones.
 */
export function rowsOf({ messages, events, since, seen, before }) {
  const rows = new Map();
  const add = (key, row) => {
    const old = before.get(key);
    rows.set(key, old && sameRow(old, row) ? old : { key, ...row });
  };
  const between = gaps(messages, events.filter((one) => !since || one.occurred_at >= since));
  let day = "";
  let marked = false;
  const enter = (time, key) => {
    if (dayOf(time) === day) return;
    day = dayOf(time);
    add(`day-${key}`, { kind: "day", at: time });
  };
  messages.forEach((message, at) => {
    const told = between[at];
    if (told.length) enter(told[0].occurred_at, told[0].id);
    addEvents(add, told);
    const sameDay = dayOf(saidAt(message)) === day;
    enter(saidAt(message), message.id);
    const fresh = Boolean(seen) && !marked && message.seq > seen && message.type === "incoming";
    if (fresh) add("new", { kind: "new" });
    marked ||= fresh;
    add(message.id, { kind: "message", message, joined: !fresh && sameDay && !told.length && joins(messages[at - 1], message) });
  });
  addEvents(add, between[messages.length]);
  before.clear();
  for (const [key, row] of rows) before.set(key, row);
  return [...rows.values()];
}

function addEvents(add, events) {
  if (events.length) add(`events-${events[0].id}`, { kind: "events", events });
}

/** The events before each message, and after the last. By `seq` where they have one, else by time. */
function gaps(messages, events) {
  const found = Array.from({ length: messages.length + 1 }, () => []);
  for (const event of events) {
    const later = (message) => (event.seq === null || event.seq === undefined ? message.created_at > event.occurred_at : message.seq > event.seq);
    const at = messages.findIndex(later);
    found[at < 0 ? messages.length : at].push(event);
  }
  return found;
}

const joins = (one, other) =>
  Boolean(one) &&
  one.author.id === other.author.id &&
  one.author.kind === other.author.kind &&
  one.type === other.type &&
  one.private === other.private &&
  one.channel === other.channel &&
  one.visibility === other.visibility &&
  one.channel !== "email" &&
  Date.parse(other.created_at) - Date.parse(one.created_at) < JOINED_MS;

const sameRow = (one, other) =>
  one.kind === other.kind &&
  one.message === other.message &&
  one.joined === other.joined &&
  one.at === other.at &&
  (one.events === other.events || (one.events?.length === other.events?.length && one.events.every((event, at) => event === other.events[at])));
