// Files that go along. They are brought up at once, and go on coming up while one reads elsewhere.

import { explain, isAbort, Offline, upload } from "../kernel/api.js";
import { each, h } from "../kernel/dom.js";
import { bytes, percent } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { button } from "../kernel/parts.js";
import { signal } from "../kernel/signals.js";
import { toast } from "../kernel/toast.js";
import { changed, sheetOf } from "./letter.js";

const MOST = 20;
let count = 0;

/** Take files along with the sheet that lies uppermost. */
export function addFiles(letter, list) {
  const sheet = letter.sheets[letter.mode.peek()];
  const room = MOST - sheet.files.peek().length;
  if (list.length > room) toast(t("composer.too_many_files", { n: MOST }), { kind: "wrong" });
  for (const source of [...list].slice(0, room)) {
    const file = { key: (count += 1), name: source.name || t("composer.picture"), size: source.size, type: source.type, source };
    Object.assign(file, { progress: signal(0), wrong: signal(null), abort: null, done: null });
    sheet.files.update((all) => [...all, file]);
    begin(letter, sheet, file);
  }
}

function begin(letter, sheet, file) {
  if (!sheet.files.peek().includes(file)) return; // left out while it waited for the network
  file.abort = new AbortController();
  file.wrong.value = null;
  const going = upload("/attachments", file.source, { progress: (part) => (file.progress.value = part), signal: file.abort.signal });
  file.done = going.then(
    ({ id, filename: name, size, content_type: type }) => {
      sheet.files.update((all) => all.map((one) => (one === file ? { key: file.key, id, name, size, type } : one)));
      changed(letter);
    },
    (error) => {
      file.abort = null;
      if (!isAbort(error)) file.wrong.value = error;
      // The network was gone, and the file is still at hand: it goes on by itself.
      if (error instanceof Offline) addEventListener("online", () => file.wrong.peek() && begin(letter, sheet, file), { once: true });
    },
  );
}

function remove(letter, sheet, file) {
  file.abort?.abort();
  sheet.files.update((all) => all.filter((one) => one !== file));
  changed(letter);
}

/** What goes along, each with how far it has come, and with a way to leave it out. */
export function fileList(letter) {
  return h(
    "ul",
    { class: "composer-files", "aria-label": t("composer.files"), hidden: () => !sheetOf(letter).files.value.length },
    each(() => sheetOf(letter).files.value, (file) => file.key ?? file.id, (file$) => h("li", { class: () => ["composer-file", file$.value.wrong?.value && "wrong"] }, () => shown(letter, file$.value))),
  );
}

function shown(letter, file) {
  const sheet = letter.sheets[letter.mode.peek()];
  const state = () => {
    if (file.id) return bytes(file.size);
    return file.wrong.value ? explain(file.wrong.value) : percent(Math.min(file.progress.value, 0.99));
  };
  return [
    icon("clip", { size: 16 }),
    h("span", { class: "cut", title: file.name }, file.name),
    h("span", { class: "composer-file-state soft", role: file.id ? null : "status" }, state),
    () => file.wrong?.value && button({ icon: "refresh", label: t("composer.file_again", { name: file.name }), kind: "quiet tiny", run: () => begin(letter, sheet, file) }),
    button({ icon: "close", label: t("shell.remove", { name: file.name }), kind: "quiet tiny", run: () => remove(letter, sheet, file) }),
    !file.id && h("span", { class: "composer-progress", style: { "--part": () => (file.wrong.value ? 0 : file.progress.value) } }),
  ];
}

/** The button that picks files; `input` is clicked by it, since a bare file field cannot be drawn. */
export function filePicker(letter) {
  const input = h("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", "aria-hidden": "true", on: { change: () => (addFiles(letter, input.files), (input.value = "")) } });
  return [input, button({ icon: "clip", label: t("composer.attach"), kind: "quiet", run: () => input.click() })];
}

/** Files that are dropped on an element or pasted into it. */
export function takeFiles(element, letter, allowed) {
  const carries = (event) => allowed() && [...(event.dataTransfer?.types ?? [])].includes("Files");
  element.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    element.classList.add("dropping");
  });
  element.addEventListener("dragleave", (event) => element.contains(event.relatedTarget) || element.classList.remove("dropping"));
  element.addEventListener("drop", (event) => {
    element.classList.remove("dropping");
    if (!carries(event)) return;
    event.preventDefault();
    addFiles(letter, event.dataTransfer.files);
  });
  element.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    // A table copied from a spreadsheet comes as a picture too: whoever pastes text means the text.
    if (!files.length || !allowed() || event.clipboardData.types.includes("text/plain")) return;
    event.preventDefault();
    addFiles(letter, files);
  });
}
