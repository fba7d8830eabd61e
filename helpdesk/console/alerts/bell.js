// How many alerts are open, for the bar at the side, and a word when a new one calls whoever sits here.

import { get } from "../kernel/api.js";
import { t } from "../kernel/i18n.js";
import { go, here } from "../kernel/router.js";
import { me } from "../kernel/session.js";
import { effect, onCleanup, signal, untracked } from "../kernel/signals.js";
import { on, onResync } from "../kernel/stream.js";
import { toast } from "../kernel/toast.js";

const MOST = 100;
const AGAIN_MS = 2000;

/** How many are open, `MOST` at most; `critical` of them. Null until it is known. */
export const openAlerts = signal(null);

/** Keep them up to date while somebody is signed in. Ends with the scope. */
export function listenForAlerts() {
  let timer = 0;
  const read = async () => {
    timer = 0;
    const { items } = await get("/alerts", { status: "open", limit: MOST });
    openAlerts.value = { count: items.length, more: items.length >= MOST, critical: items.filter((one) => one.severity === "critical").length };
  };
  // An outbreak raises hundreds at once, which are counted once.
  const soon = () => (timer ||= setTimeout(() => read().catch(() => {}), AGAIN_MS * Math.random()));
  for (const type of ["alert.raised", "alert.acknowledged", "alert.resolved"]) onCleanup(on(type, soon));
  onCleanup(on("alert.raised", call));
  onCleanup(onResync(soon));
  onCleanup(() => clearTimeout(timer));
  effect(() => {
    if (me.value) untracked(() => read().catch(() => {}));
  });
}

function call({ data }) {
  if (!data.agent_ids.includes(me.peek()?.id) || here.peek().area === "alerts" || document.hidden) return;
  toast(t("shell.alert_raised"), { kind: "wrong", action: { text: t("shell.alerts"), run: () => go("/alerts") } });
}
