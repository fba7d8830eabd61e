// The small pieces that all screens are made of. How they look is in parts.css.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { isSignal, signal } from "./signals.js";
import { t } from "./i18n.js";
import { shownKeys } from "./keys.js";

const read = (value) => (typeof value === "function" ? value() : isSignal(value) ? value.value : value);

/**
 * A button. With an icon alone, `label` is its name. While `run` has not come to its end the button is busy, so nothing is
 * done twice by a second click. `kind`: primary, danger, quiet.
 */
export function button({ text, label, icon: name, kind = "", run, type = "button", ...more }) {
  const busy = signal(false);
  const click = async (event) => {
    if (!run || busy.peek()) return;
    const going = run(event);
    if (!going?.then) return;
    busy.value = true;
    try {
      await going;
    } finally {
      busy.value = false;
    }
  };
  return h(
    "button",
    {
      type,
      class: () => ["button", kind, !text && "icon-only"],
      "aria-label": label,
      title: label,
      "aria-busy": () => (busy.value ? "true" : null),
      on: { click },
      ...more,
    },
    name && icon(name),
    text && h("span", {}, text),
  );
}

/** A link that looks like a button. */
export const linkButton = ({ text, icon: name, kind = "", href, ...more }) =>
  h("a", { class: ["button", kind], href, ...more }, name && icon(name), h("span", {}, text));

/** Whoever takes a word away by the keyboard goes on beside it, and does not begin anew at the top of the page. */
function stayNear(row) {
  const lost = () => document.activeElement === document.body || !document.activeElement;
  requestAnimationFrame(() => requestAnimationFrame(() => lost() && (row.querySelector("input") ?? row.querySelector("button") ?? row.parentElement?.querySelector("input"))?.focus()));
}

/** A switchable word: a filter, a tag. */
export const chip = ({ text, on = false, run, remove }) =>
  h(
    "span",
    { class: () => ["chip", read(on) && "on"] },
    run ? h("button", { type: "button", "aria-pressed": () => String(Boolean(read(on))), on: { click: run } }, text) : h("span", {}, text),
    remove && button({ icon: "close", label: t("shell.remove", { name: read(text) }), kind: "quiet tiny", run: (event) => (stayNear(event.currentTarget.closest(".chip").parentElement), remove()) }),
  );

/** `kind`: good, warn, bad, note. */
export const badge = (text, kind = "") => h("span", { class: () => ["badge", read(kind)] }, text);

const HUES = 8;
/** Initials on a ground that is always the same for one id; the name stands beside it, or is given as `label`. */
export function avatar({ id, name, size = 28, label }) {
  const letters = [...String(name || "?").trim()];
  const cjk = /\p{Script=Han}/u.test(name ?? "");
  const words = String(name || "?").trim().split(/\s+/);
  const initials = cjk ? letters.slice(-2).join("") : words.slice(0, 2).map((one) => [...one][0] ?? "").join("").toUpperCase();
  const hue = [...String(id ?? name)].reduce((sum, one) => (sum * 31 + one.codePointAt(0)) % 9973, 7) % HUES;
  const named = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return h("span", { class: `avatar hue-${hue}`, style: { "--size": `${size}px` }, ...named }, initials);
}

/** What stands where there is nothing, and what to do about it. */
export const empty = ({ title, text, icon: name = "inbox", action }) =>
  h("div", { class: "empty" }, icon(name, { size: 32 }), h("h2", {}, title), text && h("p", {}, text), action);

export const spinner = (label = t("shell.loading")) => h("div", { class: "spinner", role: "status" }, h("span", { class: "hidden-text" }, label));

export const skeleton = (rows = 6) => h("div", { class: "skeleton", "aria-hidden": "true" }, Array.from({ length: rows }, () => h("div", {})));

export const keys = (shortcut) => h("span", { class: "keys" }, shownKeys(shortcut).map((one) => h("kbd", {}, one)));

/** A pane of the screen: its heading takes the focus when it is gone to. */
export const pane = ({ title, tools, name = "" }, ...body) =>
  h(
    "section",
    { class: ["pane", name] },
    h("header", { class: "pane-head" }, h("h1", { tabindex: "-1", data: { focus: true } }, title), h("div", { class: "row" }, tools)),
    h("div", { class: "pane-body" }, body),
  );

/** Links as tabs: each has an address of its own. On a phone, the one that is shown is in sight. */
export function tabs(label, items) {
  const link = ({ text, href, current }) => h("a", { href, "aria-current": () => (read(current) ? "page" : null) }, text);
  const node = h("nav", { class: "tabs sideways", "aria-label": label }, items.map(link));
  requestAnimationFrame(() => node.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }));
  return node;
}
