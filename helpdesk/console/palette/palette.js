// The command palette: whatever can be done just now, and whatever can be gone to, by its name.

import { get } from "../kernel/api.js";
import { commands } from "../kernel/commands.js";
import { combobox } from "../kernel/combobox.js";
import { dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { compare } from "../kernel/format.js";
import { say, t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { keys } from "../kernel/parts.js";
import { go } from "../kernel/router.js";
import { signal } from "../kernel/signals.js";

const MOST = 9;
const TYPING_MS = 150;
const LATEST = 30;

// What was used last stands first, for as long as the page lives.
const used = [];

export async function openPalette() {
  if (document.querySelector("dialog.palette")) return;
  const known = commands.peek().filter((one) => one.when() && one.id !== "palette");
  const hits = signal({ text: "", items: [] });
  let timer = 0;
  const look = (text) => {
    clearTimeout(timer);
    if (text.trim().length < 2 || hits.peek().text === text) return;
    timer = setTimeout(async () => {
      const found = await get("/search", { q: text.trim(), limit: 8 }).catch(() => ({ items: [] }));
      hits.value = { text, items: unlike(found.items).map(placeOf) };
    }, TYPING_MS);
  };
  // It is asked within an effect: what was found meanwhile comes to what can be done by itself, and asks once more.
  const find = (text) => {
    look(text);
    const [done, there] = [commandsFor(known, text), hits.value.text === text];
    const waits = !done.length && !there && text.trim().length > 1;
    return waits ? new Promise(() => {}) : [...done, ...(there ? hits.value.items : [])];
  };
  const render = (one) => [icon(one.icon ?? "next", { size: 16 }), h("span", { class: "grow cut" }, one.text), h("span", { class: "soft cut" }, one.group), one.keys && keys([one.keys].flat()[0])];
  const body = (close) => {
    const box = combobox({ label: t("palette.title"), placeholder: t("palette.hint"), find, choose: close, open: true, render });
    box.input.autofocus = true;
    return box;
  };
  const chosen = await dialog({ title: t("palette.title"), kind: "palette", body });
  clearTimeout(timer);
  if (!chosen) return;
  used.unshift(chosen.id);
  used.splice(LATEST);
  chosen.run();
}

const rank = ({ id }) => (used.includes(id) ? used.indexOf(id) : LATEST);

/** The commands that all words are in; those whose name begins with it before the others. */
function commandsFor(known, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = known.filter((one) => words.every((word) => `${one.group} ${one.text}`.toLowerCase().includes(word)));
  const begins = (one) => !one.text.toLowerCase().startsWith(words[0] ?? "");
  return fits.sort((a, b) => begins(a) - begins(b) || rank(a) - rank(b) || compare(a.text, b.text)).slice(0, MOST);
}

/** One line for each conversation, however many of its messages were found. */
function unlike(items) {
  const seen = new Set();
  return items.filter(({ conversation, contact }) => {
    const id = conversation?.id ?? contact?.id;
    return !seen.has(id) && seen.add(id);
  });
}

function placeOf({ conversation, contact }) {
  if (!conversation) return { id: contact.id, icon: "person", text: contact.name || contact.handles[0]?.handle || "", group: t("palette.contact"), run: () => go(`/contacts/${contact.id}`) };
  return { id: conversation.id, icon: "mail", text: `#${conversation.number} ${conversation.subject}`, group: say(conversation.status, "status"), run: () => go(`/conversations/${conversation.id}`) };
}
