// What is typed, written down in this browser at once: it outlives a crash, a network that is gone, a session that is over.
// It stays only until the server has it.

import { batch } from "../kernel/signals.js";
import { empty } from "./letter.js";

const PREFIX = "helpdesk.letter.";
const place = (owner, id) => `${PREFIX}${owner}.${id}`;

const written = ({ text, files }) => ({
  text: text.peek(),
  files: files.peek().flatMap(({ id, name, size, type }) => (id ? { id, name, size, type } : [])),
});

/** Write a letter down, or forget it where nothing is on it that the server lacks. */
export function jot(letter) {
  const both = letter.sheets.answer.text.peek() && letter.sheets.note.text.peek();
  if (empty(letter) || (!letter.dirty && !both && !letter.unclear)) return forget(letter);
  const { owner, id, mode, inbox, visibility, to, cc, dirty, sign, key, unclear } = letter;
  const chosen = { mode: mode.peek(), inbox: inbox.peek(), visibility: visibility.peek(), to: to.peek(), cc: cc.peek() };
  const sheets = { answer: written(letter.sheets.answer), note: written(letter.sheets.note) };
  try {
    localStorage.setItem(place(owner, id), JSON.stringify({ ...chosen, ...sheets, dirty, sign, key, unclear }));
  } catch {
    // full, or switched off: the server has it a moment later
  }
}

export function forget({ owner, id }) {
  try {
    localStorage.removeItem(place(owner, id));
  } catch {
    // nothing was written there either
  }
}

/** Take up what was written down. Answers whether there was something. */
export function takeUp(letter) {
  let found;
  try {
    found = JSON.parse(localStorage.getItem(place(letter.owner, letter.id)));
  } catch {
    return false;
  }
  if (!found) return false;
  batch(() => {
    for (const mode of ["answer", "note"]) {
      for (const part of ["text", "files"]) letter.sheets[mode][part].value = found[mode][part];
    }
    for (const name of ["mode", "inbox", "visibility", "to", "cc"]) letter[name].value = found[name];
  });
  letter.leftOver.value = Boolean(found.unclear);
  Object.assign(letter, { dirty: found.dirty, sign: found.sign, key: found.key, unclear: found.unclear });
  return true;
}

/** The conversations in which something was written that the server has not got yet. */
export function leftBehind(owner) {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(place(owner, "")));
    return names.filter((name) => JSON.parse(localStorage.getItem(name)).dirty).map((name) => name.slice(place(owner, "").length));
  } catch {
    return [];
  }
}
