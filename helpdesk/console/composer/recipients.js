// Whom an answer goes to, by which inbox, and who reads it.

import { h, when } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { composing } from "../kernel/keys.js";
import { button, chip } from "../kernel/parts.js";
import { menu } from "../kernel/popover.js";
import { computed, signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { changed } from "./letter.js";
import { abilities, isOver, placeOf, visibilityOf } from "./sending.js";

const ADDRESS = /^[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;]+$/;

/** People out of what was typed or pasted: "Ann <ann@x.example>, bob@x.example". What is no address is left over. */
export function peopleOf(text) {
  const people = [];
  const rest = [];
  for (const part of text.split(/[,;，；、\n]+/).map((one) => one.trim()).filter(Boolean)) {
    const [, name = "", handle = part] = /^"?([^"<]*?)"?\s*<([^<>]+)>$/.exec(part) ?? [];
    if (ADDRESS.test(handle)) people.push({ handle: handle.toLowerCase(), name });
    else rest.push(part);
  }
  return { people, rest: rest.join(", ") };
}

/** A row of people who can be added by typing an address, and taken out. */
function peopleField(letter, which, { label, suggestions, alone }) {
  const list = letter[which];
  const wrong = signal(false);
  const setTo = (people) => {
    list.value = [...new Map(people.map((one) => [one.handle, one])).values()];
    changed(letter);
  };
  const take = () => {
    const { people, rest } = peopleOf(input.value);
    if (people.length) setTo([...list.peek(), ...people]);
    input.value = rest;
    wrong.value = Boolean(rest);
  };
  const keydown = (event) => {
    if (composing(event)) return;
    if (["Enter", ",", ";", " "].includes(event.key) && input.value.trim()) {
      if (event.key === " " && !ADDRESS.test(input.value.trim())) return;
      event.preventDefault();
      take();
    } else if (event.key === "Backspace" && !input.value && list.peek().length) setTo(list.peek().slice(0, -1));
  };
  const input = h("input", { class: "composer-person", type: "email", multiple: true, autocomplete: "off", spellcheck: "false", "aria-label": label, "aria-invalid": () => String(wrong.value), placeholder: () => (list.value.length ? "" : alone), on: { keydown, change: take, blur: take } });
  const person = (one) => chip({ text: one.name ? `${one.name} <${one.handle}>` : one.handle, remove: () => setTo(list.peek().filter((other) => other !== one)) });
  const more = computed(() => suggestions().filter((one) => !list.value.some((other) => other.handle === one.handle)));
  const suggested = () => more.value.map((one) => button({ text: one.name || one.handle, icon: "plus", kind: "quiet tiny", title: one.handle, run: () => setTo([...list.peek(), one]) }));
  return h("div", { class: "composer-people" }, h("span", { class: "soft" }, label), () => list.value.map(person), input, suggested, () => wrong.value && h("span", { class: "error", role: "alert" }, t("composer.no_address")));
}

/** The line above an answer: to whom, by what, until when. */
export function recipients(letter, one) {
  const place = computed(() => placeOf(letter, one.value));
  const can = computed(() => abilities(place.value));
  const open = signal(false);
  const shown = () => can.value.cc && (open.value || letter.to.value.length > 0 || letter.cc.value.length > 0);
  const handle = () => one.value?.contact.handle ?? "";
  // Who has been written to before, so that nobody of a group is forgotten.
  const others = () => (one.value?.participants ?? []).filter((person) => person.channel === place.value?.channel && person.handle !== handle()).map(({ handle: to, name }) => ({ handle: to, name }));
  const fields = () => [peopleField(letter, "to", { label: t("composer.to"), suggestions: () => [], alone: handle() }), peopleField(letter, "cc", { label: t("composer.cc"), suggestions: others, alone: "" })];
  return h(
    "div",
    { class: "composer-recipients" },
    h("div", { class: "composer-way" }, wayButton(letter, one, place), visibility(letter, place), () => deadline(place.value), when(() => can.value.cc && !shown(), () => button({ text: () => (others().length ? t("composer.cc_more", { n: others().length }) : t("composer.cc")), kind: "quiet tiny", run: () => (open.value = true) }))),
    when(shown, fields), // not made anew with every change: somebody types in them
  );
}

const nameOf = (place) => directory("inboxes").byId(place.inbox_id)?.name ?? say(place.channel, "channel");

function wayButton(letter, one, place) {
  const choose = (inbox) => {
    letter.inbox.value = inbox;
    letter.visibility.value = null; // chosen for another channel
    changed(letter);
  };
  const items = () => one.peek().reply_channels.map((other) => ({ text: `${nameOf(other)} · ${say(other.channel, "channel")} · ${other.handle}`, checked: other.inbox_id === place.peek().inbox_id, run: () => choose(other.inbox_id) }));
  // What is read anew again and again changes words, and not what has the focus.
  const text = () => place.value && t("composer.way", { channel: say(place.value.channel, "channel"), inbox: nameOf(place.value) });
  const opener = button({ text, kind: "quiet tiny", "aria-haspopup": "menu", run: () => void menu(opener, items()) });
  opener.append(icon("down", { size: 14 }));
  const several = computed(() => (one.value?.reply_channels.length ?? 0) > 1);
  return () => (several.value ? opener : h("span", { class: "soft cut" }, text));
}

/** Whether everybody will read it is said where it is so, and chosen where there is a choice. */
function visibility(letter, place) {
  const possible = computed(() => (place.value && !isOver(letter, place.value) ? place.value.visibilities.join() : ""));
  const now = () => visibilityOf(letter, place.value);
  const choose = (word) => () => ((letter.visibility.value = word), changed(letter));
  const option = (word, name) => button({ text: say(word, "visibility"), icon: name, kind: "quiet tiny", "aria-pressed": () => String(now() === word), run: choose(word) });
  const both = () => h("span", { class: "row", role: "group", "aria-label": t("composer.who_reads") }, option("public", "eye"), option("direct", "person"));
  return () => (possible.value.includes(",") ? both() : possible.value === "public" && h("span", { class: "badge warn" }, t("composer.everybody_reads")));
}

const deadline = (place) => place?.reply_until && h("span", { class: "soft" }, t("composer.until"), " ", h("time-left", { datetime: place.reply_until }));
