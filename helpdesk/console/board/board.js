// The live board of supervisors: how many wait, and what of it is late.

import { get } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { number } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { pane } from "../kernel/parts.js";
import { setTitle } from "../kernel/router.js";
import { onCleanup, signal } from "../kernel/signals.js";
import { attempt } from "../kernel/toast.js";

const EVERY_MS = 10_000;

export function view() {
  setTitle(t("board.title"));
  const counts = signal(null);
  const read = async () => (counts.value = await get("/conversations/counts"));
  attempt(read());
  const timer = setInterval(() => document.hidden || read().catch(() => {}), EVERY_MS);
  onCleanup(() => clearInterval(timer));
  const tile = (name, of, href, kind) => h("a", { class: ["card tile", kind], href }, h("strong", {}, () => (counts.value ? number(of(counts.value)) : "–")), h("span", {}, name));
  return pane(
    { title: t("board.title"), name: "board" },
    h(
      "div",
      { class: "tiles" },
      tile(t("board.open"), (all) => all.status.open, "/inbox/open"),
      tile(t("board.unassigned"), (all) => all.unassigned, "/inbox/unassigned"),
      tile(t("board.due_soon"), (all) => all.sla.due_soon, "/inbox/due", "warn"),
      tile(t("board.breached"), (all) => all.sla.breached, "/inbox/due?sla=breached", "bad"),
    ),
  );
}
