// A letter: what somebody has begun to write in one conversation. An answer and a note lie side by side in it, so that
// what is meant for colleagues is never one click away from the customer.

import { batch, signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";

const sheet = () => ({ text: signal(""), files: signal([]) });

/**
 * `touched` counts the changes that a person made, `base` is the newest message that he had seen when he began, `going` says
 * that it is being sent; what stands in the way of that is in `trouble`, `moved`, `found` and `waiting`, one for each kind.
 */
export function newLetter(id) {
  return {
    id,
    mode: signal("answer"),
    sheets: { answer: sheet(), note: sheet() },
    inbox: signal(null),
    visibility: signal(null),
    to: signal([]),
    cc: signal([]),
    touched: signal(0),
    base: signal(null),
    kept: signal(""),
    conflict: signal(null),
    going: signal(false),
    trouble: signal(null),
    moved: signal(null),
    found: signal([]),
    waiting: signal(null),
    leftOver: signal(false),
    key: null,
    unclear: false,
    dirty: false,
  };
}

export const sheetOf = (letter) => letter.sheets[letter.mode.value];
const seen = (letter, mode = letter.mode.peek()) => letter.sheets[mode];

/** Whether a sheet has anything on it. */
export const blank = ({ text, files }) => !text.value.trim() && !files.value.length;
export const empty = (letter) => blank(letter.sheets.answer) && blank(letter.sheets.note);

/** The sheet that the server is to keep: it keeps one, so the one that is written on, unless only the other is. */
export function keptMode(letter) {
  const mode = letter.mode.peek();
  const other = mode === "answer" ? "note" : "answer";
  return blank(seen(letter, mode)) && !blank(seen(letter, other)) ? other : mode;
}

/** The ids of the people whom a text names after an @; the longest name counts, and whoever is taken out is not called. */
export function mentioned(text, people) {
  const longest = people.toSorted((one, other) => other.name.length - one.name.length);
  const named = text.split("@").slice(1).flatMap((rest) => longest.find((one) => one.name && rest.startsWith(one.name)) ?? []);
  return [...new Set(named.map((one) => one.id))];
}

/** A sheet as the API takes it. Files that are still on their way are left out. */
export function contentOf(letter, mode = letter.mode.peek()) {
  const { text, files } = seen(letter, mode);
  const ids = files.peek().flatMap((file) => file.id ?? []);
  const content = { text: text.peek(), private: mode === "note" };
  if (ids.length) content.attachment_ids = ids;
  if (mode === "note") {
    const called = mentioned(text.peek(), directory("agents").list.peek());
    return called.length ? { ...content, mentions: called } : content;
  }
  if (letter.inbox.peek()) content.inbox_id = letter.inbox.peek();
  if (letter.visibility.peek()) content.visibility = letter.visibility.peek();
  if (letter.to.peek().length) content.to = letter.to.peek();
  if (letter.cc.peek().length) content.cc = letter.cc.peek();
  return content;
}

/** Two contents that say the same have the same sign, however they were written down. */
export function signOf(content) {
  const { text = "", private: note = false, inbox_id: inbox = null, visibility = null, to, cc } = content ?? {};
  const handles = (people) => (people ?? []).map((one) => one.handle ?? one);
  return JSON.stringify([text, note, inbox, visibility, handles(to), handles(cc), content?.attachment_ids ?? []]);
}

/** Put a content onto its sheet, in place of what is there. `files` are what its ids stand for. */
export function fill(letter, content, files = []) {
  const mode = content.private ? "note" : "answer";
  batch(() => {
    const { text, files: shown } = letter.sheets[mode];
    text.value = content.text ?? "";
    const wanted = new Set(content.attachment_ids ?? []);
    const all = [...shown.peek().filter((one) => one.id), ...files].filter((one) => wanted.delete(one.id));
    shown.value = [...all, ...shown.peek().filter((one) => !one.id)];
    if (mode === "note") return;
    letter.inbox.value = content.inbox_id ?? null;
    letter.visibility.value = content.visibility ?? null;
    letter.to.value = content.to ?? [];
    letter.cc.value = content.cc ?? [];
  });
  return mode;
}

/** Give back what was taken off a sheet: in its place where it is empty, else before what was written since. */
export function giveBack(letter, content, given) {
  const mode = content.private ? "note" : "answer";
  const { text, files } = letter.sheets[mode];
  const now = text.peek().trim() ? text.peek() : "";
  if (now === (content.text ?? "")) return;
  const later = files.peek();
  batch(() => {
    fill(letter, content, given);
    if (now) text.value = `${content.text ?? ""}\n\n${now}`;
    files.value = [...new Map([...files.peek(), ...later].map((one) => [one.id ?? one.name, one])).values()];
    letter.mode.value = mode;
  });
  changed(letter);
}

/** Take away what has been sent, and leave what was written while it was on its way. */
export function takeAway(letter, mode, content) {
  const { text, files } = letter.sheets[mode];
  const now = text.peek();
  const gone = new Set(content.attachment_ids ?? []);
  batch(() => {
    text.value = now.startsWith(content.text) ? now.slice(content.text.length).trimStart() : now;
    files.value = files.peek().filter((one) => !gone.has(one.id));
    if (!text.peek() && mode === "answer") [letter.to.value, letter.cc.value] = [[], []];
  });
}

/** Somebody has written: `keep` sees to it that it stays. */
export function changed(letter) {
  letter.dirty = true;
  batch(() => {
    letter.touched.update((count) => count + 1);
    letter.waiting.value = null;
    letter.trouble.value = null;
    letter.found.value = [];
  });
  letter.keep();
}
