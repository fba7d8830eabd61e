// Who else is at a conversation, and saying that we are.

import { post } from "./api.js";
import { me } from "./session.js";
import { computed, onCleanup, signal } from "./signals.js";
import { on } from "./stream.js";

const BEAT = 25_000;

/** Be at a conversation until what is being made ends. `say` tells what we do there: viewing, typing or noting. */
export function attend(id) {
  const all = signal([]);
  const contact = signal(null);
  let doing = "viewing";
  let gone = false;
  const beat = async () => {
    if (document.hidden && doing === "viewing") return;
    try {
      const found = await post(`/conversations/${id}/presence`, { state: doing });
      if (!gone) all.value = found.items;
    } catch {
      // whoever is not seen for once is seen with the next beat
    }
  };
  const say = (state) => {
    if (state === doing) return;
    doing = state;
    beat();
  };
  const leave = () => {
    if (gone) return;
    gone = true;
    clearInterval(timer);
    off();
    removeEventListener("pagehide", leave);
    document.removeEventListener("visibilitychange", seen);
    const body = new Blob([JSON.stringify({ state: "gone" })], { type: "application/json" });
    navigator.sendBeacon(`/api/v1/conversations/${id}/presence`, body);
  };
  const seen = () => document.hidden || beat();
  const off = on("presence", (event) => {
    if (event.conversation_id !== id) return;
    all.value = event.data.presence;
    contact.value = event.data.contact;
  });
  const timer = setInterval(beat, BEAT);
  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", seen);
  onCleanup(leave);
  beat();
  return { others: computed(() => all.value.filter((one) => one.agent.id !== me.value?.id)), contact, say, leave };
}
