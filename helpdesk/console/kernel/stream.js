// What happens, as it happens: one connection for all tabs of this browser, since a browser gives an origin six in all.
// The tab that holds the lock listens and tells the others; when it goes, another takes over from the last position.

import { href } from "./address.js";
import { batch, signal } from "./signals.js";

const LOCK = "helpdesk.stream";
const SILENCE = 40_000; // the server says something every 15 seconds
const FIRST_WORD = 8_000; // and at once when it is asked
const MUTE = 3; // streams that said nothing, one after the other: then it is asked by poll
const POLLS = 6; // before a stream is tried again
const BACK = 60; // events that are told again at the beginning
const handlers = new Map();
const touching = new Set();
const resyncing = new Set();
const recent = [];
let position = 0;
let known = 0; // up to here events are told again: rows are read for them, and nobody hears of them
let stopping = null;
let whose = null;
let pending = [];
let frame = 0;

/** "live", "waiting" (it is being tried again) or "offline". */
export const connection = signal("waiting");

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(LOCK) : null;

/** Hear of one type of event, or of all with "*". Answers what ends it. */
export function on(type, handler) {
  if (!handlers.has(type)) handlers.set(type, new Set());
  handlers.get(type).add(handler);
  return () => handlers.get(type).delete(handler);
}

/** Once a frame at most: the ids of the conversations that something happened to, and the events. */
export function onTouched(handler) {
  touching.add(handler);
  return () => touching.delete(handler);
}

/** Something was missed that nobody can name: read again what is shown. */
export function onResync(handler) {
  resyncing.add(handler);
  return () => resyncing.delete(handler);
}

function told(event) {
  if (event.position) position = Math.max(position, event.position);
  if (event.type === "resync") {
    for (const handler of resyncing) handler(event);
    return;
  }
  if (!event.type) return;
  pending.push(event.position <= known ? { ...event, again: true } : event);
  frame ||= document.hidden ? setTimeout(hand, 250) : requestAnimationFrame(hand);
}

function hand() {
  frame = 0;
  const events = pending.splice(0, 200);
  const ids = new Set(events.filter((one) => one.conversation_id && one.type !== "presence").map((one) => one.conversation_id));
  batch(() => {
    for (const event of events) {
      if (event.again) continue;
      for (const type of [event.type, "*"]) for (const handler of handlers.get(type) ?? []) handler(event);
    }
    if (ids.size) for (const handler of touching) handler({ ids, events });
  });
  if (pending.length) frame = requestAnimationFrame(hand);
}

document.addEventListener("visibilitychange", () => {
  if (!frame) return;
  clearTimeout(frame);
  cancelAnimationFrame(frame);
  frame = document.hidden ? setTimeout(hand, 250) : requestAnimationFrame(hand);
});

addEventListener("offline", () => (connection.value = "offline"));
addEventListener("online", () => connection.peek() === "offline" && (connection.value = "waiting"));

const say = (message) => channel?.postMessage({ ...message, whose });

channel?.addEventListener("message", ({ data }) => {
  if (data.whose !== whose) return; // a tab that has not noticed yet that somebody else sits here now
  if (data.state) connection.value = data.state;
  if (data.event) told(data.again ? { ...data.event, again: true } : data.event);
});

function tell(event) {
  told(event);
  if (recent.push(event) > BACK) recent.shift();
  say({ event });
}

function state(value) {
  connection.value = value;
  say({ state: value });
}

/** Begin to listen as somebody, by his id, or to be told by the tab that does: his tabs, and not another's. */
export function start(id) {
  if (stopping) return;
  whose = id;
  stopping = new AbortController();
  const { signal: ended } = stopping;
  if (!navigator.locks || !channel) listen(ended);
  else {
    navigator.locks.request(LOCK, { signal: ended }, () => listen(ended)).catch(() => {});
    say({ asks: true });
  }
}

export function stop() {
  stopping?.abort();
  stopping = null;
  position = 0;
  recent.length = 0;
}

channel?.addEventListener("message", ({ data }) => {
  if (!data.asks || !leading || data.whose !== whose) return;
  say({ state: connection.peek() });
  // The new tab has read its lists a moment before it began to hear.
  for (const event of recent) say({ event, again: true });
});

let leading = false;

async function listen(ended) {
  leading = true;
  for (let failures = 0, mute = 0; !ended.aborted; ) {
    try {
      // A proxy that keeps what it is given until there is more of it lets nothing of a stream through, but whole answers.
      position ||= await begin(ended);
      if (mute < MUTE) await read(ended, () => ((failures = 0), (mute = 0)));
      else {
        await poll(ended, () => (failures = 0));
        mute = MUTE - 1;
        continue;
      }
      failures += 1;
    } catch (error) {
      if (ended.aborted) break;
      failures += 1;
      if (error.status === 401 || error.status === 403) failures = Math.max(failures, 4);
      else if (!error.status && navigator.onLine) mute += 1;
    }
    state(navigator.onLine ? "waiting" : "offline");
    await rest(Math.min(30_000, 500 * 2 ** failures) * Math.random(), ended);
  }
  leading = false;
}

/** Ask again and again, each time until something happens. Who is where is not told in this way. */
async function poll(ended, works) {
  for (let asked = 0; !ended.aborted && asked < POLLS; asked += 1) {
    const address = href("/stream/poll", { after: position || undefined, wait: position ? 25 : 0 });
    const response = await fetch(address, { headers: { Accept: "application/json" }, signal: ended, cache: "no-store" });
    if (!response.ok) throw Object.assign(new Error("poll"), { status: response.status });
    const found = await response.json();
    works();
    state("live");
    for (const event of found.items) tell(event);
    tell({ position: found.position, ...(found.resync ? { type: "resync" } : {}) });
  }
}

/** Where to begin, so that nothing is missed that happened since the page was asked for: lists were read in between. */
async function begin(ended) {
  const response = await fetch(href("/stream/poll", { wait: 0 }), { signal: ended, cache: "no-store" });
  if (!response.ok) throw Object.assign(new Error("poll"), { status: response.status });
  const { position: last } = await response.json();
  known = last;
  return Math.max(Math.min(last, 1), last - BACK);
}

/** Wait, but not when the network or the reader comes back. */
function rest(ms, ended) {
  return new Promise((done) => {
    const timer = setTimeout(finish, ms);
    function finish() {
      clearTimeout(timer);
      removeEventListener("online", finish);
      document.removeEventListener("visibilitychange", seen);
      ended.removeEventListener("abort", finish);
      done();
    }
    const seen = () => document.hidden || finish();
    addEventListener("online", finish);
    document.addEventListener("visibilitychange", seen);
    ended.addEventListener("abort", finish);
  });
}

async function read(ended, works) {
  const once = new AbortController();
  const end = () => once.abort();
  ended.addEventListener("abort", end);
  let silence = setTimeout(end, FIRST_WORD);
  try {
    const headers = { Accept: "text/event-stream", ...(position ? { "Last-Event-ID": String(position) } : {}) };
    const response = await fetch("/api/v1/stream", { headers, signal: once.signal, cache: "no-store" });
    if (!response.ok) throw Object.assign(new Error("stream"), { status: response.status });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      works();
      if (connection.peek() !== "live") state("live");
      clearTimeout(silence);
      silence = setTimeout(end, SILENCE);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) parse(block);
    }
  } finally {
    clearTimeout(silence);
    ended.removeEventListener("abort", end);
  }
}

/** One block of the stream: an event, or a comment that only moves the position on. */
function parse(block) {
  let data = "";
  let id = 0;
  for (const line of block.split("\n")) {
    if (line.startsWith("data: ")) data += line.slice(6);
    else if (line.startsWith("id: ")) id = Number(line.slice(4));
  }
  if (data) tell({ ...JSON.parse(data), ...(id ? { position: id } : {}) });
  else if (id) tell({ position: id });
}
