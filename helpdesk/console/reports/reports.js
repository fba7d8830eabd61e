// Reports: figures drawn by ourselves, and the same as CSV.

import { get, href } from "../kernel/api.js";
import { bars } from "../kernel/chart.js";
import { h } from "../kernel/dom.js";
import { date, zone } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { linkButton, pane, skeleton } from "../kernel/parts.js";
import { setTitle } from "../kernel/router.js";
import { signal } from "../kernel/signals.js";
import { attempt } from "../kernel/toast.js";

const DAYS = 28;
const DAY_MS = 86_400_000;

export function view() {
  setTitle(t("reports.title"));
  const lines = signal(null);
  const query = { group_by: "day", zone: zone(), after: new Date(Date.now() - DAYS * DAY_MS).toISOString() };
  attempt(get("/reports/volume", query).then((found) => (lines.value = found.rows)));
  const csv = linkButton({ text: t("reports.csv"), icon: "download", href: href("/reports/volume", { ...query, format: "csv" }), download: "volume.csv" });
  const drawn = () => {
    if (!lines.value) return skeleton(4);
    const known = new Map(lines.value.map((line) => [String(line.group), line]));
    // Days on which nothing came are left out by the API, and belong into the figure.
    const days = Array.from({ length: DAYS }, (_, at) => new Date(Date.now() - (DAYS - 1 - at) * DAY_MS));
    const rows = days.map((one) => ({ label: String(one.getDate()), title: date(one), value: known.get(one.toLocaleDateString("sv"))?.received ?? 0 }));
    return bars({ title: t("reports.volume"), rows });
  };
  return pane({ title: t("reports.title"), tools: csv, name: "reports" }, h("div", {}, drawn));
}
