// Something read for one part of the screen: what it is by now, what went wrong, and a way to ask again.

import { explain, isAbort } from "../kernel/api.js";
import { when, h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { button, skeleton } from "../kernel/parts.js";
import { onCleanup, signal } from "../kernel/signals.js";

const LATE_MS = 150; // what comes sooner needs no picture of waiting

/** Ask now; `again()` asks anew, and what was overtaken is left out. What is shown stays while it is asked. */
export function reading(ask) {
  const [now, failed, late] = [signal(null), signal(null), signal(false)];
  let asked = 0;
  const again = async () => {
    const mine = (asked += 1);
    try {
      const found = await ask();
      if (mine !== asked) return;
      now.value = found;
      failed.value = null;
    } catch (error) {
      if (mine === asked && !isAbort(error)) failed.value = error;
    }
  };
  const timer = setTimeout(() => (late.value = true), LATE_MS);
  onCleanup(() => {
    asked += 1;
    clearTimeout(timer);
  });
  again();
  return { now, failed, late, again };
}

/** `draw(now)` once it is there, made one time: it follows the signal that it is given. */
export const shown = ({ now, failed, late, again }, draw) => [
  when(() => now.value !== null, () => draw(now)),
  () => now.value === null && (failed.value ? trouble(failed.value, again) : late.value && skeleton(2)),
];

const trouble = (error, again) =>
  h("div", { class: "beside-failed", role: "alert" }, h("p", {}, error.status === 404 ? t("beside.not_yours") : explain(error)), error.status !== 404 && button({ text: t("shell.again"), run: again }));
