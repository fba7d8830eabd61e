// Alerts: what calls somebody, and saying that one has it.

import { get, post } from "../kernel/api.js";
import { each, h } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { badge, button, empty, pane } from "../kernel/parts.js";
import { setTitle } from "../kernel/router.js";
import { onCleanup, signal } from "../kernel/signals.js";
import { on } from "../kernel/stream.js";
import { attempt } from "../kernel/toast.js";

const KINDS = { critical: "bad", warning: "warn" };

export function view() {
  setTitle(t("alerts.title"));
  const alerts = signal(null);
  const read = async () => (alerts.value = (await get("/alerts", { limit: 100 })).items);
  attempt(read());
  onCleanup(on("alert.raised", () => read().catch(() => {})));
  onCleanup(on("alert.acknowledged", () => read().catch(() => {})));
  const take = async (id) => {
    if ((await attempt(post(`/alerts/${id}/acknowledge`), { done: t("alerts.taken") })) !== undefined) await read();
  };
  const row = (alert$) => {
    const { id, severity, conversation_id: about, raised_at: at } = alert$.peek();
    return h(
      "li",
      { class: "card row" },
      badge(say(severity, "severity"), KINDS[severity] ?? ""),
      h("a", { class: "grow", href: about ? `/conversations/${about}` : null }, t("alerts.about")),
      h("time-ago", { class: "soft", datetime: at }),
      () => (alert$.value.status === "open" ? button({ text: t("alerts.take"), kind: "primary", run: () => take(id) }) : badge(say(alert$.value.status, "alert"))),
    );
  };
  return pane({ title: t("alerts.title"), name: "alerts" }, () => alerts.value?.length === 0 && empty({ title: t("alerts.none"), text: t("alerts.none_hint"), icon: "bell" }), h("ul", { class: "stack plain" }, each(() => alerts.value ?? [], (one) => one.id, row)));
}
