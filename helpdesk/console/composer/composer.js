// Writing: an answer by the channel that the contact wrote by last, or a note for colleagues.

import { command } from "../kernel/commands.js";
import { detached, focusOn, h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { composing, nameOf } from "../kernel/keys.js";
import { button } from "../kernel/parts.js";
import { menu } from "../kernel/popover.js";
import { loadArea } from "../kernel/router.js";
import { computed, effect, onCleanup, untracked } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { counter } from "./count.js";
import { fileList, filePicker, takeFiles } from "./files.js";
import { blank, changed, sheetOf } from "./letter.js";
import { letterOf, putAside, save } from "./letters.js";
import { notices } from "./notices.js";
import { recipients } from "./recipients.js";
import { abilities, goOnLater, isOver, matters, placeOf, send } from "./sending.js";
import { insert, suggestions } from "./suggest.js";

const QUIET_MS = 8000; // after the last key nobody is writing any more

/** The composer of a conversation. `one` is its detail, `messages` what its reader has before him, `there` his presence. */
export function composer({ id, one, messages, there }) {
  const letter = letterOf(id);
  const how = { one, messages };
  directory("canned-responses");
  directory("agents");
  onCleanup(() => (save(letter), putAside(letter)));
  effect(() => {
    // Where nothing can be answered, a note still can be written.
    if (one.value && letter.mode.value === "answer" && cannot(one.value)) letter.mode.value = "note";
  });
  goOnLater(letter, how);
  follow(letter, messages);
  const offered = suggestions(letter);
  const input = field({ letter, how, there, offered });
  offered.attach(input);
  shortcuts(letter, how, input);
  furtherCommands(how);
  const node = h(
    "form",
    { class: () => ["composer", letter.mode.value], "aria-label": t("composer.group"), on: { submit: (event) => event.preventDefault() } },
    () => one.value && untracked(() => closedWords(one)),
    notices(letter, how, there, input),
    h(
      "div",
      { class: "composer-box" },
      h("div", { class: "composer-head" }, modes(letter, one, input), () => (letter.mode.value === "answer" ? untracked(() => recipients(letter, one)) : h("span", { class: "composer-recipients soft cut" }, t("composer.colleagues_only")))),
      offered.node,
      input,
      fileList(letter),
      counter(letter, one),
      tools(letter, how, input),
    ),
  );
  takeFiles(node, letter, () => mayAttach(letter, one.peek()));
  return node;
}

const cannot = (one) => !one.reply_channels.length || Boolean(one.merged_into_id) || one.status === "closed";
const mayAttach = (letter, one) => letter.mode.value === "note" || Boolean(abilities(placeOf(letter, one)).attachments);

/** Whether it is known by what an answer goes, and what that can do: before, it would go without its Cc, and past the time to take it back. */
const mayGo = (letter, { one }) => letter.mode.value === "note" || Boolean(placeOf(letter, one.value) && !isOver(letter, placeOf(letter, one.value)) && directory("channels").list.value.length);

/** Why no answer can be written here, and what to do instead. */
function closedWords(one) {
  return () => {
    const { merged_into_id: into, status, reply_channels: places, spam } = one.value;
    if (into) return h("p", { class: "composer-closed" }, t("composer.merged"), " ", h("a", { href: `/conversations/${into}` }, t("composer.go_there")));
    if (status === "closed") return h("p", { class: "composer-closed" }, t("composer.closed"));
    if (spam) return h("p", { class: "composer-closed" }, t("composer.spam"));
    return places.length ? null : h("p", { class: "composer-closed" }, t("composer.nowhere"));
  };
}

/** What was the newest when somebody began to write; for who writes nothing, the newest of all. */
function follow(letter, messages) {
  effect(() => {
    const newest = messages.value?.filter(matters).at(-1)?.seq ?? (messages.value ? 0 : null);
    const begun = !blank(letter.sheets.answer);
    if (newest !== null && (!begun || letter.base.peek() === null) && !letter.moved.peek()) letter.base.value = newest;
  });
}

function field({ letter, how, there, offered }) {
  let quiet = 0;
  const say = (doing) => {
    clearTimeout(quiet);
    there.say(doing);
    if (doing !== "viewing") quiet = setTimeout(() => there.say("viewing"), QUIET_MS);
  };
  onCleanup(() => clearTimeout(quiet));
  const typed = () => {
    sheetOf(letter).text.value = input.value;
    changed(letter);
    say(letter.mode.peek() === "note" ? "noting" : "typing");
  };
  const keydown = (event) => {
    if (composing(event) || offered.keydown(event)) return;
    const name = nameOf(event);
    const live = letter.mode.peek() === "answer" && abilities(placeOf(letter, how.one.peek())).live;
    if (name === "Mod-Enter" || (name === "Enter" && live)) mayGo(letter, how) && send(letter, how);
    else if (name === "Mod-Shift-Enter") mayGo(letter, how) && send(letter, how, letter.mode.peek() === "answer" ? "resolved" : undefined);
    else if (name === "Escape") (input.closest(".conversation")?.querySelector("[data-focus]") ?? document.body).focus?.();
    else return;
    event.preventDefault();
  };
  const input = h("textarea", {
    class: "composer-text",
    rows: 2,
    "aria-label": t("composer.text"),
    "aria-autocomplete": "list",
    "aria-controls": "composer-offers",
    "aria-activedescendant": offered.active,
    placeholder: () => placeholder(letter, how.one.value),
    on: { keydown, input: typed, blur: () => say("viewing") },
  });
  effect(() => {
    const text = sheetOf(letter).text.value;
    if (input.value !== text) input.value = text;
    if (!text) say("viewing"); // it has been sent, or was taken out
  });
  return input;
}

function placeholder(letter, one) {
  if (letter.mode.value === "note") return t("composer.note_hint");
  return abilities(placeOf(letter, one)).live ? t("composer.chat_hint") : t("composer.hint");
}

/** Answer or note: two sheets, so what is written on one never becomes the other by a click. */
function modes(letter, one, input) {
  const mode = (word, text) => {
    const begun = computed(() => letter.mode.value !== word && !blank(letter.sheets[word]));
    const run = () => ((letter.mode.value = word), focusOn(input));
    const made = button({ text, kind: "quiet tiny", "aria-pressed": () => String(letter.mode.value === word), "aria-description": () => (begun.value ? t("composer.begun") : null), disabled: () => word === "answer" && Boolean(one.value && cannot(one.value)), run });
    made.append(h("span", { class: "composer-dot", hidden: () => !begun.value }));
    return made;
  };
  return h("div", { class: "composer-modes", role: "group", "aria-label": t("composer.kind") }, mode("answer", t("composer.answer")), mode("note", t("composer.note")));
}

const kept = (letter) => h("span", { class: "composer-kept", role: "status" }, () => (letter.kept.value === "here" ? t("composer.kept_here") : letter.kept.value === "server" ? t("composer.kept") : ""));

function tools(letter, how, input) {
  const nothing = () => !sheetOf(letter).text.value.trim() || !mayGo(letter, how);
  const answer = () => letter.mode.value === "answer";
  const go = (status) => async () => {
    if (await send(letter, how, status)) input.focus({ preventScroll: true });
  };
  const reply = () => insert(input, /\S$/.test(input.value.slice(0, input.selectionStart)) ? " /" : "/");
  const more = button({ icon: "down", label: t("composer.more_ways"), kind: "composer-more", "aria-haspopup": "menu", disabled: nothing, run: () => void menu(more, ways()) });
  const ways = () => [
    { text: t("composer.send_and_resolve"), icon: "check", keys: "Mod-Shift-Enter", run: go("resolved") },
    { text: t("composer.send_and_wait"), icon: "clock", run: go("pending") },
    { text: t("composer.send_and_open"), icon: "inbox", run: go("open") },
  ];
  return h(
    "div",
    { class: "composer-tools" },
    h("div", { class: "row", hidden: () => !mayAttach(letter, how.one.value) }, filePicker(letter)),
    button({ icon: "reply", label: t("composer.replies"), kind: "quiet", run: reply }),
    kept(letter),
    () => (answer() ? button({ text: t("composer.send_and_resolve"), kind: "composer-resolve", disabled: nothing, run: go("resolved") }) : null),
    h("div", { class: "composer-send" }, button({ text: () => (answer() ? t("composer.send") : t("composer.save_note")), icon: "send", kind: "primary", disabled: nothing, run: go() }), () => (answer() ? more : null)),
  );
}

/** What is done now and then is loaded once there is nothing else to do. */
function furtherCommands({ one, messages }) {
  let offered = null;
  const soon = (act) => (globalThis.requestIdleCallback ?? setTimeout)(act);
  const offer = (module) => offered !== false && (offered = detached(() => module.conversationCommands(one, { messages })));
  soon(() => offered !== false && loadArea("actions").then(offer, () => {}));
  onCleanup(() => (offered?.dispose?.(), (offered = false)));
}

function shortcuts(letter, how, input) {
  const group = t("composer.group");
  const write = (mode) => () => {
    letter.mode.value = mode;
    focusOn(input);
  };
  const may = () => Boolean(how.one.peek()) && !cannot(how.one.peek());
  command({ id: "answer", keys: "r", icon: "reply", text: t("composer.write_answer"), group, when: may, run: write("answer") });
  command({ id: "note", keys: "n", icon: "note", text: t("composer.write_note"), group, run: write("note") });
  const writing = () => document.activeElement === input && mayGo(letter, how);
  const listed = (id, keys, text, status) => command({ id, keys, text, group, when: writing, run: () => send(letter, how, status) });
  listed("send", "Mod-Enter", t("composer.send"));
  listed("send-and-resolve", "Mod-Shift-Enter", t("composer.send_and_resolve"), "resolved");
}
