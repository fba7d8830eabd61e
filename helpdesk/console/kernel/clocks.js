// <time-ago datetime="…"> and <time-left datetime="…">: times that go on by themselves. One timer serves all of them, and
// a text is written only when it has changed.

import { brief, dateTime, duration, now, relative } from "./format.js";

const shown = new Set();
let timer = 0;

function tick() {
  timer = 0;
  if (!document.hidden) for (const one of shown) one.tell();
  if (shown.size) timer = setTimeout(tick, 1000);
}
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const one of shown) one.tell();
});

class Clock extends HTMLElement {
  static observedAttributes = ["datetime", "paused"];
  connectedCallback() {
    shown.add(this);
    this.tell();
    timer ||= setTimeout(tick, 1000);
  }
  disconnectedCallback() {
    shown.delete(this);
  }
  attributeChangedCallback() {
    if (this.isConnected) this.tell();
  }
  tell() {
    const at = this.getAttribute("datetime");
    const text = at ? this.words(at) : "";
    if (this.textContent === text) return;
    this.textContent = text;
    this.title = at ? dateTime(at) : "";
  }
}

/** How long ago; with `brief`, as short as a list wants it. */
class TimeAgo extends Clock {
  words(at) {
    return this.hasAttribute("brief") ? brief(at) : relative(at);
  }
}

/** How long until; `data-late` says that it is over. With `paused` it stands still. */
class TimeLeft extends Clock {
  words(at) {
    const seconds = (Date.parse(at) - now()) / 1000;
    this.toggleAttribute("data-late", seconds < 0);
    const whole = Math.abs(seconds) < 60 ? Math.abs(seconds) : Math.ceil(Math.abs(seconds) / 60) * 60;
    return `${seconds < 0 ? "−" : ""}${duration(whole, "narrow")}`;
  }
}

customElements.define("time-ago", TimeAgo);
customElements.define("time-left", TimeLeft);
