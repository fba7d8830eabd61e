// All letters of this window. They outlive the view: an upload goes on, and a text is kept, while one reads elsewhere.

import { beforeSignOut, me } from "../kernel/session.js";
import { batch, effect } from "../kernel/signals.js";
import { connection, on, onResync } from "../kernel/stream.js";
import { discard, draftOf, followDrafts, forgetDrafts, keep, learn, readAgain, readDrafts } from "./drafts.js";
import { jot, leftBehind, takeUp } from "./journal.js";
import { blank, changed, contentOf, empty, fill, giveBack, keptMode, newLetter, signOf } from "./letter.js";

const REST = 1200; // between the last key and the server
const AGAIN = 15_000;
const FRESH = 30_000;
const letters = new Map();

/** The letter in a conversation; what was kept of it comes back by itself. */
export function letterOf(id) {
  const known = letters.get(id);
  if (known) return known;
  const letter = newLetter(id);
  letter.owner = me.peek().id;
  letter.keep = () => (jot(letter), later(letter));
  letters.set(id, letter);
  takeUp(letter);
  letter.ready = readDrafts().then(
    () => meet(letter),
    () => letter.dirty && later(letter, AGAIN),
  );
  return letter;
}

/** Nobody looks at it any more: let it go, once nothing hangs on it. */
export function putAside(letter) {
  const busy = [...letter.sheets.answer.files.peek(), ...letter.sheets.note.files.peek()].some((file) => !file.id);
  if (letter.dirty || letter.going.peek() || letter.waiting.peek() || busy) return;
  clearTimeout(letter.timer);
  letter.following?.dispose();
  letters.delete(letter.id);
}

const filesOf = (draft) => (draft.attachments ?? []).map((one) => ({ id: one.id, name: one.filename, size: one.size, type: one.content_type }));

/** What the server keeps meets what lies here. Texts that both differ from what they began as are shown to their writer. */
function meet(letter) {
  const draft = draftOf(letter.id);
  const theirs = draft ? signOf(draft.content) : "";
  if (letter.going.peek() || letter.conflict.peek()) return;
  const mode = draft ? (draft.content.private ? "note" : "answer") : keptMode(letter);
  const ours = signOf(contentOf(letter, mode));
  const untouched = !letter.dirty || blank(letter.sheets[mode]);
  if (theirs !== (letter.sign ?? "") && theirs !== ours) {
    if (draft && !untouched) letter.conflict.value = draft;
    else if (draft) show(letter, draft);
    else if (!letter.dirty) wipe(letter, letter.signMode ?? mode);
  }
  letter.sign = theirs;
  letter.signMode = mode;
  if (draft && theirs === ours && mode === keptMode(letter)) letter.dirty = false; // another window has brought the same there
  if (letter.dirty && !letter.conflict.peek()) later(letter);
  jot(letter);
}

function show(letter, draft) {
  const alone = blank(letter.sheets[letter.mode.peek()]);
  const mode = fill(letter, draft.content, filesOf(draft));
  if (alone) letter.mode.value = mode;
}

/** It was sent or thrown away in another window. */
function wipe(letter, mode) {
  batch(() => {
    letter.sheets[mode].text.value = "";
    letter.sheets[mode].files.value = letter.sheets[mode].files.peek().filter((file) => !file.id);
  });
}

function later(letter, ms = REST) {
  clearTimeout(letter.timer);
  letter.timer = setTimeout(() => save(letter), ms);
}

/** Bring it to the server, once at a time. While it is being sent, or it is unclear whether it was, it stays here. */
export async function save(letter) {
  clearTimeout(letter.timer);
  if (letter.saving || letter.going.peek() || letter.unclear || letter.conflict.peek() || !letter.dirty) return letter.saving;
  const mode = keptMode(letter);
  const content = contentOf(letter, mode);
  const before = letter.touched.peek();
  letter.saving = (blank(letter.sheets[mode]) ? discard(letter.id) : keep(letter.id, content)).then(
    () => {
      Object.assign(letter, { sign: signOf(draftOf(letter.id)?.content), signMode: mode });
      if (!draftOf(letter.id)) letter.sign = "";
      if (letter.touched.peek() === before) letter.dirty = false;
      letter.kept.value = empty(letter) ? "" : "server";
    },
    (error) => refused(letter, error, content),
  );
  await letter.saving;
  letter.saving = null;
  jot(letter);
  if (letter.dirty) later(letter, letter.kept.peek() === "here" ? AGAIN : REST);
}

function refused(letter, error, content) {
  const draft = error.body?.draft;
  // The conversation is out of sight: what was written stays in the journal, for when it comes back.
  const gone = error.status === 404 && !draftOf(letter.id);
  if (gone || (error.status !== 412 && error.status !== 404)) {
    letter.kept.value = "here";
    return;
  }
  learn(letter.id, draft ?? null, { quiet: true });
  // Nothing there: it was sent elsewhere, and what is here is another one. The same there: only its version was news.
  if (draft && signOf(draft.content) !== letter.sign && signOf(draft.content) !== signOf(content)) letter.conflict.value = draft;
}

/** Of two texts, take ours, theirs, or both. */
export function settle(letter, how) {
  const draft = letter.conflict.peek();
  letter.conflict.value = null;
  letter.sign = signOf(draft.content);
  if (how === "theirs") {
    letter.dirty = false;
    show(letter, draft);
    jot(letter);
  } else if (how === "both") giveBack(letter, draft.content, filesOf(draft));
  else changed(letter);
}

/** What was sent is on the server no longer. */
export function sent(letter, mode) {
  const draft = draftOf(letter.id);
  if (draft && Boolean(draft.content.private) === (mode === "note")) {
    learn(letter.id, null);
    letter.sign = "";
  }
  letter.dirty = !empty(letter);
  letter.kept.value = "";
  jot(letter);
  if (letter.dirty) later(letter);
}

/** Something was given back, such as the text of an answer that was taken back before it left. */
export async function lookAgain(id) {
  await readAgain(0);
  const letter = letters.get(id);
  if (letter) meet(letter);
}

const meetAll = () => letters.forEach(meet);
followDrafts((id) => letters.has(id) && meet(letters.get(id)));
onResync(() => readAgain(FRESH).then(meetAll, () => {}));
on("conversation.updated", (event) => event.data.changes?.delivery && letters.has(event.conversation_id) && lookAgain(event.conversation_id).catch(() => {}));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) readAgain(FRESH).then(meetAll, () => {});
  else for (const letter of letters.values()) save(letter);
});
beforeSignOut(() => Promise.allSettled([...letters.values()].map(save)));
addEventListener("online", () => letters.forEach((letter) => save(letter)));
addEventListener("beforeunload", (event) => {
  const busy = [...letters.values()].some(({ sheets }) => [...sheets.answer.files.peek(), ...sheets.note.files.peek()].some((file) => file.abort && !file.id));
  if (busy) event.preventDefault();
});

// Somebody else at the same desk has letters of his own; what was left behind by a crash goes to the server.
effect(() => {
  const owner = me.value?.id;
  if (owner && [...letters.values()].every((letter) => letter.owner === owner)) return;
  letters.forEach((letter) => clearTimeout(letter.timer));
  letters.clear();
  forgetDrafts();
});
effect(() => {
  if (connection.value !== "live" || !me.peek()) return;
  letters.forEach((letter) => letter.dirty && save(letter));
});
readDrafts().then(() => me.peek() && leftBehind(me.peek().id).slice(0, 20).forEach((id) => letterOf(id)), () => {});
