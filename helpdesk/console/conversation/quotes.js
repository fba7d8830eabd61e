// What of a text is new, and what it repeats of earlier mails.

/**
 * `{shown, rest}`: the new part of a message, and what else its text holds. Most answers stand above what they quote: then `rest` is
 * what follows. A mail with a layout may say other things in its text, which nobody needs twice: then there is no rest.
 */
export function quotesOf({ text, new_text: fresh, html }) {
  const whole = tidy(text);
  const shown = tidy(fresh);
  if (!shown) return { shown: whole, rest: "" };
  const at = follows(whole, shown);
  if (at === null) return { shown, rest: html || bare(whole) === bare(shown) ? "" : whole };
  return { shown, rest: whole.slice(at).replace(/^\s*\n/, "").trimEnd() };
}

const bare = (text) => text.replace(/\s+/g, "");

/** Where in the whole its new part ends, blanks aside; null where it does not begin with it. */
function follows(whole, shown) {
  let at = 0;
  for (const sign of bare(shown)) {
    while (at < whole.length && /\s/.test(whole[at])) at += 1;
    if (!whole.startsWith(sign, at)) return null;
    at += sign.length;
  }
  return at;
}

const tidy = (text) => String(text ?? "").replace(/\r\n?/g, "\n").replace(/[ \t]+$/gm, "").replace(/\n{4,}/g, "\n\n\n").trim();

const LONG = 6000; // characters
const LINES = 80;

/** The beginning of a text that is too long to be read in passing; the whole where it is not. */
export function beginning(text) {
  const lines = text.split("\n");
  if (text.length <= LONG && lines.length <= LINES) return text;
  const cut = lines.slice(0, LINES / 2).join("\n").slice(0, LONG / 2);
  return cut.slice(0, Math.max(cut.lastIndexOf("\n"), cut.lastIndexOf(" "), LONG / 4));
}
