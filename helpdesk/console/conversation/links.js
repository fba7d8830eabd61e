// Addresses within what people wrote. Only http and https become links. What a link shows may be made to deceive, so one of a
// customer's asks first, and tells the host as computers read it beside what eyes read.

import { h } from "../kernel/dom.js";
import { ask } from "../kernel/dialog.js";
import { t } from "../kernel/i18n.js";

// Up to a blank, a quotation mark, a full-width sign or a control of writing direction, which could turn an address around.
const ADDRESS = /https?:\/\/[^\s<>"'\u0060“”‘’«»「」『』（）【】《》，。；、！？\u200b-\u200f\u202a-\u202e\u2060-\u2069]+/giu;
const TAIL = /[.,:;!?*_~]+$/;
const MENTION = /(^|[\s(（,，])@/u;

/** The text as nodes, its addresses as links. `names` are people who may be mentioned by `@`. */
export function withLinks(text, { names = [], outside = false } = {}) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0]);
    const url = parsed(address);
    if (!url) continue;
    found.push(...withNames(text.slice(from, match.index), names), ...linkTo(url, address, outside));
    from = match.index + address.length;
  }
  found.push(...withNames(text.slice(from), names));
  return found;
}

function trimmed(address) {
  let found = address.replace(TAIL, "");
  // A bracket at the end belongs to the sentence, unless it was opened within the address.
  for (const [open, close] of ["()", "[]", "{}"]) {
    while (found.endsWith(close) && found.split(close).length > found.split(open).length) found = found.slice(0, -1).replace(TAIL, "");
  }
  return found;
}

function parsed(address) {
  try {
    const url = new URL(address);
    return url.hostname ? url : null;
  } catch {
    return null;
  }
}

function linkTo(url, shown, outside) {
  const link = h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", data: { outside } }, h("bdi", {}, shown));
  const { host, written, strange } = hostOf(url, shown);
  return strange ? [link, h("span", { class: "link-host" }, written === host ? host : `${written} · ${host}`)] : [link];
}

/**
 * The host of an address: `host` in ASCII, `written` as it reads, `strange` where the two are not the same, where letters of several
 * scripts are mixed, or where a name and password stand before it.
 */
export function hostOf(url, shown = url.href) {
  const host = url.host;
  const written = host.split(".").map((label) => (label.startsWith("xn--") ? (decoded(label.slice(4)) ?? label) : label)).join(".");
  const secret = Boolean(url.username || url.password);
  return { host, written, secret, mixed: written.split(".").some(mixed), strange: secret || written !== host || !shown.toLowerCase().includes(host) };
}

const SCRIPTS = [/\p{Script=Latin}/u, /\p{Script=Cyrillic}/u, /\p{Script=Greek}/u, /\p{Script=Armenian}/u, /\p{Script=Hebrew}/u, /\p{Script=Arabic}/u];
const mixed = (label) => SCRIPTS.filter((script) => script.test(label)).length > 1;

/** What a label of a host after `xn--` stands for (Punycode, RFC 3492); null where it is none. */
export function decoded(label) {
  const cut = label.lastIndexOf("-");
  const found = [...label.slice(0, Math.max(0, cut))].map((one) => one.codePointAt(0));
  let [code, at, bias] = [128, 0, 72];
  for (let read = cut < 0 ? 0 : cut + 1; read < label.length; ) {
    const before = at;
    for (let weight = 1, k = 36; ; k += 36) {
      const digit = digitOf(label[read++]);
      if (digit < 0) return null;
      at += digit * weight;
      const least = Math.min(Math.max(k - bias, 1), 26);
      if (digit < least) break;
      weight *= 36 - least;
    }
    bias = adapted(at - before, found.length + 1, before === 0);
    code += Math.floor(at / (found.length + 1));
    at %= found.length + 1;
    if (code > 0x10ffff) return null;
    found.splice(at++, 0, code);
  }
  return String.fromCodePoint(...found);
}

const digitOf = (sign) => (sign === undefined ? -1 : "abcdefghijklmnopqrstuvwxyz0123456789".indexOf(sign.toLowerCase()));

function adapted(delta, count, first) {
  let rest = Math.floor(delta / (first ? 700 : 2));
  rest += Math.floor(rest / count);
  let k = 0;
  for (; rest > 455; k += 36) rest = Math.floor(rest / 35);
  return k + Math.floor((36 * rest) / (rest + 38));
}

function withNames(text, names) {
  if (!names.length || !MENTION.test(text)) return [text];
  const found = [];
  let from = 0;
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    const name = names.find((one) => text.startsWith(one, at + 1));
    if (!name) continue;
    found.push(text.slice(from, at), h("span", { class: "mention" }, `@${name}`));
    from = at + 1 + name.length;
  }
  return [...found, text.slice(from)];
}

/** Ask before a customer's link is followed: the whole address, and its host by itself. */
export async function follow(link) {
  const url = new URL(link.href);
  const { host, written, secret, mixed: several } = hostOf(url);
  const warnings = [several && t("conversation.link_mixed"), secret && t("conversation.link_secret"), url.protocol === "http:" && t("conversation.link_plain")].filter(Boolean);
  const text = [
    h("strong", { class: "link-asked" }, h("bdi", {}, written)),
    written !== host && h("span", { class: "link-asked soft" }, t("conversation.link_ascii", { host })),
    h("span", { class: "link-whole", tabindex: "0" }, h("bdi", {}, url.href)),
    warnings.map((one) => h("span", { class: "error" }, one)),
  ];
  if (await ask({ title: t("conversation.link_title"), text, confirm: t("conversation.link_open") })) window.open(url.href, "_blank", "noopener,noreferrer");
}
