// Sending: once, whatever the network does; never over what somebody else has said meanwhile; and taken back where there is time.

import { Offline, Problem, post } from "../kernel/api.js";
import { detached } from "../kernel/dom.js";
import { batch, effect } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { me } from "../kernel/session.js";
import { jot } from "./journal.js";
import { blank, contentOf, takeAway } from "./letter.js";
import { save, sent } from "./letters.js";
import { offerUndo } from "./undo.js";

const UNDO_SECONDS = 10;
const AGAIN = 10_000;

/** What the channel that an answer goes by can do; nothing while that is not known. */
export const abilities = (place) => directory("channels").byId(place?.channel)?.capabilities ?? {};

/** Where an answer goes: the place that was chosen while it is still there, else the first, where the contact wrote last. */
export const placeOf = (letter, one) => {
  const places = one?.reply_channels ?? [];
  return places.find((place) => place.inbox_id === letter.inbox.value) ?? places[0] ?? null;
};

/** Whether it will be read by everybody. */
export const visibilityOf = (letter, place) => (place?.visibilities.includes(letter.visibility.value) ? letter.visibility.value : place?.visibilities[0]);

/** Whether the time to answer there is over, or to answer so: what was meant for one is never shown to everybody instead. */
export const isOver = (letter, place) => Boolean(place) && (!place.visibilities.length || (letter.visibility.value === "direct" && !place.visibilities.includes("direct")));

/** Messages that somebody who writes has to know of: of the contact, and answers of colleagues; not notes, not one's own. */
export const matters = (message) => Boolean(message.type) && !message.private && (message.author?.kind === "contact" || message.author?.id !== me.peek()?.id);

/**
 * Send what lies uppermost. `status` goes with it in one step. Answers whether it went out; what was in the way is told in the
 * letter. What is written while it is on its way stays.
 */
export async function send(letter, { one, messages }, status) {
  const mode = letter.mode.peek();
  const sheet = letter.sheets[mode];
  if (letter.going.peek() || blank(sheet) || !sheet.text.peek().trim()) return false;
  batch(() => ([letter.trouble.value, letter.waiting.value, letter.found.value, letter.leftOver.value] = [null, null, [], false]));
  letter.going.value = true;
  let body = null;
  try {
    // What is written while files are still on their way up was not meant to go.
    body = bodyOf(letter, mode, one.peek(), messages.peek(), status);
    const files = sheet.files.peek();
    await Promise.all(files.map((file) => file.done));
    const up = sheet.files.peek().filter((file) => files.some((other) => (other.key ?? other.id) === (file.key ?? file.id)));
    if (up.some((file) => !file.id)) return false;
    if (up.length) body.attachment_ids = up.map((file) => file.id);
    else delete body.attachment_ids;
    await letter.saving;
    // The same key until it is known what became of it: whatever is sent again is never there twice.
    letter.key ??= crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    letter.unclear = true;
    jot(letter);
    arrived(letter, mode, body, messages, await post(`/conversations/${letter.id}/messages`, body, { key: letter.key }), status);
    return true;
  } catch (error) {
    refused(letter, error, { messages, status });
    return false;
  } finally {
    letter.going.value = false;
    jot(letter);
    save(letter);
  }
}

function bodyOf(letter, mode, one, messages, status) {
  const body = { ...contentOf(letter, mode), ...(status ? { status } : {}) };
  body.text = body.text.trimEnd();
  if (mode === "note") return body;
  const place = placeOf(letter, one);
  const can = abilities(place);
  if (place) body.inbox_id = place.inbox_id;
  if (place?.visibilities.length > 1) body.visibility = visibilityOf(letter, place);
  if (!can.cc) [delete body.cc, delete body.to];
  if (can.deferrable) body.undo_seconds = me.peek().preferences?.undo_seconds ?? UNDO_SECONDS;
  // In a chat both talk at once; elsewhere, whatever came since one began to write is to be read first.
  const newest = messages?.at(-1)?.seq;
  const seen = can.live ? newest : (letter.base.peek() ?? newest);
  if (seen !== undefined) body.seen_seq = seen;
  return body;
}

function arrived(letter, mode, body, messages, made, status) {
  const files = letter.sheets[mode].files.peek();
  batch(() => {
    Object.assign(letter, { key: null, unclear: false });
    letter.moved.value = null;
    takeAway(letter, mode, body);
    letter.base.value = null;
    const others = (messages.peek() ?? []).filter((known) => known.id !== made.id);
    messages.value = [...others, made].sort((a, b) => a.seq - b.seq);
  });
  sent(letter, mode);
  if (made.delivery?.status === "queued" && body.undo_seconds) offerUndo(letter.id, made, { body, files, status });
}

function refused(letter, error, { messages, status }) {
  // Still at work on it under this key: as unclear as no answer at all.
  const running = error.slug === "idempotency_running";
  if (error instanceof Offline || running || (error instanceof Problem && error.status >= 500)) {
    letter.waiting.value = { status, at: Date.now() };
    return;
  }
  const known = error instanceof Problem;
  // Refused is not written: what is sent next is another attempt, under another key.
  Object.assign(letter, { key: null, unclear: false });
  if (known && error.slug === "conversation_moved") {
    const came = error.body.messages.filter(matters);
    const ids = new Set(error.body.messages.map((one) => one.id));
    batch(() => {
      letter.moved.value = { messages: came, status };
      messages.value = [...(messages.peek() ?? []).filter((one) => !ids.has(one.id)), ...error.body.messages].sort((a, b) => a.seq - b.seq);
    });
  } else if (known && error.slug === "personal_data_in_public") letter.found.value = error.body.found;
  else letter.trouble.value = error;
}

/** The reader has seen them: what is sent now is said in their knowledge. */
export function sawThem(letter, messages) {
  batch(() => {
    letter.base.value = Math.max(messages.peek()?.at(-1)?.seq ?? 0, ...(letter.moved.peek()?.messages ?? []).map((one) => one.seq));
    letter.moved.value = null;
  });
}

/** What could not go out for want of a network goes out when it is back, wherever its writer is by then, unless he has turned away. */
export function goOnLater(letter, how) {
  letter.how = how;
  const wait = () => {
    const waiting = letter.waiting.value;
    if (!waiting) return undefined;
    const again = () => navigator.onLine && send(letter, letter.how, waiting.status);
    const timer = setTimeout(again, AGAIN);
    addEventListener("online", again);
    return () => (clearTimeout(timer), removeEventListener("online", again));
  };
  letter.following ??= detached(() => effect(wait));
}
