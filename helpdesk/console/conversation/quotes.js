// What of a text is new, and what it repeats of earlier mails.

/** `{shown, rest}`: the new part of a message, and the whole again where it holds more than that. */
export function quotesOf({ text, new_text: fresh }) {
  const whole = tidy(text);
  const shown = tidy(fresh);
  if (!shown) return { shown: whole, rest: "" };
  if (whole.length - shown.length < 3) return { shown, rest: "" };
  // Most answers stand above what they quote: then only what follows is unfolded.
  return { shown, rest: whole.startsWith(shown) ? whole.slice(shown.length).replace(/^\s*\n/, "") : whole };
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
