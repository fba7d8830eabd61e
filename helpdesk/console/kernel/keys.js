// Shortcuts. Keys alone do nothing while somebody types, while an input method composes, or when they are switched off.

import { commands } from "./commands.js";
import { preferences } from "./session.js";

const PATIENCE = 1200; // between the keys of a sequence
const MAC = /Mac|iPhone|iPad/.test(navigator.platform);
let begun = "";
let begunAt = 0;

/** Whether a key belongs to an input method. Safari tells only by the code, after the composition has ended. */
export const composing = (event) => event.isComposing || event.keyCode === 229;

/** Whether what has focus takes text. */
export function typing(element = document.activeElement) {
  if (!element) return false;
  if (element.isContentEditable || element.tagName === "TEXTAREA" || element.tagName === "SELECT") return true;
  return element.tagName === "INPUT" && !/^(checkbox|radio|button|submit|reset|file|range|color)$/.test(element.type);
}

/** An event as it is written in `keys`: "j", "?", "Mod-k", "Mod-Shift-Enter". */
export function nameOf(event) {
  const mod = MAC ? event.metaKey : event.ctrlKey;
  const key = event.key === " " ? "Space" : event.key;
  const shift = event.shiftKey && (key.length > 1 || mod || event.altKey);
  // A locked Shift is none, and on a keyboard without Latin letters it is the place of the key that counts.
  const latin = /^Key[A-Z]$/.test(event.code) && /[^\x00-\x7f]/.test(key) ? event.code[3] : key;
  const letter = latin.length === 1 && (mod || event.altKey || !event.shiftKey) ? latin.toLowerCase() : latin;
  return `${mod ? "Mod-" : ""}${event.altKey ? "Alt-" : ""}${shift ? "Shift-" : ""}${letter}`;
}

/** How a shortcut is shown: its keys, one after the other. */
export function shownKeys(keys) {
  const words = { Mod: MAC ? "⌘" : "Ctrl", Shift: "⇧", Alt: MAC ? "⌥" : "Alt", Enter: "↵", Escape: "Esc", ArrowUp: "↑", ArrowDown: "↓" };
  return keys.split(" ").flatMap((step) => step.split(/-(?=.)/).map((one) => words[one] ?? one));
}

function pressed(event) {
  if (event.defaultPrevented || composing(event)) return;
  const name = nameOf(event);
  const strong = name.startsWith("Mod-") || event.key === "Escape";
  if (!strong && (typing() || !preferences.peek().shortcuts)) return;
  if (event.key === "Escape" && document.querySelector("[popover=auto]:popover-open")) return; // it closes that, no more
  if (!strong && event.target.closest?.("[popover=auto]")) return; // in a menu a letter chooses an entry
  if (document.querySelector("dialog:modal") && !event.target.closest?.("[data-keys]")) return;
  const sequence = begun && event.timeStamp - begunAt < PATIENCE ? `${begun} ${name}` : name;
  const known = commands.peek().filter((one) => one.keys && one.when());
  const found = known.findLast((one) => [one.keys].flat().includes(sequence));
  begun = !found && known.some((one) => [one.keys].flat().some((keys) => keys.startsWith(`${sequence} `))) ? sequence : "";
  begunAt = event.timeStamp;
  if (!found) return;
  event.preventDefault();
  found.run(event);
}

export function listenToKeys() {
  document.addEventListener("keydown", pressed);
}
