// The numbers beside the views. Asking for them is also what tells the desk that somebody is here: chats go to nobody who
// has asked for nothing in two minutes, so it is done each minute while the person is, and never for an empty chair.

import { get } from "../kernel/api.js";
import { me } from "../kernel/session.js";
import { signal } from "../kernel/signals.js";
import { onResync, onTouched } from "../kernel/stream.js";

const AGAIN_MS = 3000;
const MINUTE_MS = 60_000;
const AWAY_MS = 5 * MINUTE_MS;

/** `GET /conversations/counts`, or null until it is known. */
export const counts = signal(null);

let [timer, asked, moved, begun] = [0, 0, 0, false];

/** Ask anew soon, but not often and not behind another tab. */
function recount() {
  if (document.hidden || !me.peek()) return;
  timer ||= setTimeout(ask, Math.max(0, AGAIN_MS - (Date.now() - asked)));
}

function ask() {
  [timer, asked] = [0, Date.now()];
  get("/conversations/counts").then((found) => (counts.value = found), () => {}); // the next one will do
}

/** From now on, for as long as the page lives. */
export function keepCounting() {
  if (begun) return recount();
  begun = true;
  const here = () => (moved = Date.now());
  for (const type of ["pointermove", "keydown", "touchstart"]) addEventListener(type, here, { passive: true, capture: true });
  here();
  setInterval(() => Date.now() - moved < AWAY_MS && recount(), MINUTE_MS);
  document.addEventListener("visibilitychange", recount);
  onTouched(recount);
  onResync(recount);
  ask();
}
