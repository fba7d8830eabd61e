// What can be looked at: the console's own views with their numbers, and those that people keep.

import { get } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { number } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { here } from "../kernel/router.js";
import { effect, onCleanup, signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { onTouched } from "../kernel/stream.js";

const EVERY_MS = 5000;

/** The console's own views: what they ask the list for, and how many there are by the API's counts. */
export const OWN = {
  open: { query: { status: ["open", "pending"] }, text: () => t("inbox.open"), count: (all) => all.status.open + all.status.pending },
  mine: { query: { assignee_id: "me", status: ["open", "pending"] }, text: () => t("inbox.mine"), count: (all) => all.mine },
  unassigned: { query: { assignee_id: "none", status: "open" }, text: () => t("inbox.unassigned"), count: (all) => all.unassigned },
  due: { query: { sla: ["due_soon", "breached"], sort: "next_due_at" }, text: () => t("inbox.due"), count: (all) => all.sla.due_soon + all.sla.breached },
  snoozed: { query: { status: "snoozed" }, text: () => t("inbox.snoozed"), count: (all) => all.status.snoozed },
  all: { query: {}, text: () => t("inbox.all"), count: () => null },
};

/** What a view's address asks the list for. */
export const queryOf = (view) => OWN[view]?.query ?? { view_id: view };

const shownCount = (value, most) => (value == null || value === 0 ? "" : value >= most ? `${number(most - 1)}+` : number(value));

export function viewsPane() {
  const counts = signal(null);
  let timer = 0;
  const read = () => {
    timer = 0;
    get("/conversations/counts").then((found) => (counts.value = found), () => {});
  };
  onCleanup(() => clearTimeout(timer));
  const off = onTouched(() => (timer ||= setTimeout(read, EVERY_MS)));
  onCleanup(off);
  read();
  const kept = directory("views");
  const link = (id, text, count) =>
    h("a", { href: `/inbox/${id}`, "aria-current": () => ((here.value.params.view ?? "open") === id ? "page" : null) }, h("span", { class: "grow" }, text), h("span", { class: "count" }, () => (counts.value ? shownCount(count(counts.value), counts.value.most) : "")));
  return h(
    "nav",
    { class: "pane inbox-views", "aria-label": t("inbox.views") },
    h("h2", {}, t("inbox.title")),
    Object.entries(OWN).map(([id, one]) => link(id, one.text(), one.count)),
    () => kept.list.value.length > 0 && h("h3", {}, t("inbox.kept")),
    () => kept.list.value.map((one) => link(one.id, one.name, (all) => all.views[one.id])),
  );
}
