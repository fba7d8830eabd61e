// What hangs on a message: pictures to look at, files to take along. Everything is served as a download; the kinds that are shown
// are those that browsers draw and do not run.

import { href } from "../kernel/api.js";
import { detached, h, on } from "../kernel/dom.js";
import { bytes } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { button } from "../kernel/parts.js";
import { computed, signal } from "../kernel/signals.js";

const DRAWN = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const addressOf = (file) => href(`/attachments/${file.id}`);

/** Pictures as tiles, other files as rows. Pictures that stand within a mail's own layout come last, and only with its text. */
export function files(attachments, { inline = true } = {}) {
  const shown = attachments.filter((one) => inline || !one.inline);
  const pictures = shown.filter((one) => DRAWN.has(one.content_type));
  const others = shown.filter((one) => !DRAWN.has(one.content_type));
  if (!shown.length) return null;
  return h(
    "div",
    { class: "files" },
    pictures.length > 0 && h("ul", { class: "pictures" }, pictures.map((one, at) => h("li", {}, tile(one, () => view(pictures, at))))),
    others.length > 0 && h("ul", { class: "papers" }, others.map((one) => h("li", {}, paper(one)))),
  );
}

function tile(file, open) {
  const broken = signal(false);
  const picture = h("img", { src: addressOf(file), alt: "", loading: "lazy", decoding: "async", width: 160, height: 120, on: { error: () => (broken.value = true) } });
  const label = t("conversation.picture", { name: file.filename || t("conversation.unnamed") });
  return h("button", { type: "button", class: () => ["picture", broken.value && "broken"], "aria-label": label, title: `${file.filename} · ${bytes(file.size)}`, on: { click: open } }, () => (broken.value ? [icon("alert"), h("span", {}, t("conversation.picture_broken"))] : picture));
}

function paper(file) {
  const name = file.filename || t("conversation.unnamed");
  return h("a", { class: "paper", href: addressOf(file), download: file.filename || true, data: { native: true }, title: name }, icon("clip", { size: 16 }), h("span", { class: "cut" }, name), h("span", { class: "soft" }, bytes(file.size)), icon("download", { size: 16 }));
}

/** One picture over everything; the others by the arrows. */
function view(pictures, first) {
  const opener = document.activeElement;
  const at = signal(first);
  const file = computed(() => pictures[at.value]);
  const broken = signal(false);
  const turn = (by) => {
    broken.value = false;
    at.value = (at.peek() + by + pictures.length) % pictures.length;
  };
  const { value: element, dispose } = detached(() => {
    const made = h(
      "dialog",
      { class: "viewer", "aria-label": () => t("conversation.picture", { name: file.value.filename }) },
      h(
        "header",
        { class: "row spread" },
        h("span", { class: "cut" }, () => file.value.filename),
        h(
          "span",
          { class: "row" },
          pictures.length > 1 && h("span", { role: "status" }, () => t("conversation.picture_of", { at: at.value + 1, count: pictures.length })),
          pictures.length > 1 && button({ icon: "back", label: t("conversation.picture_before"), kind: "quiet", run: () => turn(-1) }),
          pictures.length > 1 && button({ icon: "next", label: t("conversation.picture_next"), kind: "quiet", run: () => turn(1) }),
          h("a", { class: "button quiet icon-only", href: () => addressOf(file.value), download: () => file.value.filename || "", "aria-label": t("conversation.download"), title: t("conversation.download"), data: { native: true } }, icon("download")),
          button({ icon: "close", label: t("shell.close"), kind: "quiet", run: () => made.close() }),
        ),
      ),
      h("div", { class: "viewer-ground" }, () => (broken.value ? h("p", {}, t("conversation.picture_broken")) : h("img", { src: addressOf(file.value), alt: file.value.filename, on: { error: () => (broken.value = true) } }))),
    );
    on(made, "keydown", (event) => {
      if (event.key === "ArrowRight") turn(1);
      else if (event.key === "ArrowLeft") turn(-1);
    });
    on(made, "click", (event) => event.target.classList.contains("viewer-ground") && made.close());
    return made;
  });
  element.addEventListener("close", () => {
    dispose();
    element.remove();
    if (opener?.isConnected) opener.focus({ preventScroll: true });
  });
  document.body.append(element);
  element.showModal();
}
