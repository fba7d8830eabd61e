// What was sent to a webhook and how it was taken: try it, send again, and change its secret.

import { get, post } from "../../kernel/api.js";
import { ask } from "../../kernel/dialog.js";
import { each, h } from "../../kernel/dom.js";
import { say, t } from "../../kernel/i18n.js";
import { badge, button } from "../../kernel/parts.js";
import { onCleanup, signal } from "../../kernel/signals.js";
import { attempt } from "../../kernel/toast.js";
import { section } from "../once.js";

const LOOK_MS = 1500;
const KINDS = { sent: "good", failed: "bad", queued: "note" };

export function deliveries(item, { saved }) {
  const path = `/webhooks/${item.id}`;
  const list = signal(null);
  let timer = 0;
  onCleanup(() => clearTimeout(timer));
  // No event tells of a delivery: while one is on its way it is looked at again.
  const read = async () => {
    const { items } = await get(`${path}/deliveries`, { limit: 20 });
    list.value = items;
    clearTimeout(timer);
    if (items.some((one) => one.status === "queued" && !one.attempts)) timer = setTimeout(() => read().catch(() => {}), LOOK_MS);
  };
  read().catch(() => (list.value = []));
  const act = (going) => attempt(going.then(read));
  const row = (one$) => {
    const one = () => one$.value;
    return h(
      "li",
      {},
      h("code", {}, one$.peek().type),
      h("span", { class: "grow soft cut" }, () => one().error || (one().last_status ? t("webhooks.answered", { status: one().last_status }) : "")),
      () => badge(say(one().status, "webhooks.status"), KINDS[one().status]),
      h("time-ago", { class: "soft", datetime: one$.peek().created_at }),
      () => one().status === "failed" && button({ text: t("webhooks.again"), run: () => act(post(`${path}/deliveries/${one$.peek().id}/replay`)) }),
    );
  };
  return [
    section(
      t("webhooks.deliveries"),
      h("div", { class: "row" }, button({ text: t("webhooks.test"), icon: "send", disabled: !item.enabled, run: () => act(post(`${path}/test`)) }), button({ text: t("webhooks.look"), icon: "refresh", run: () => attempt(read()) })),
      () => list.value && (list.value.length ? h("ul", { class: "plain-rows" }, each(() => list.value, (one) => one.id, row)) : h("p", { class: "soft" }, t("webhooks.no_deliveries"))),
    ),
    secret(path, saved),
  ];
}

function secret(path, saved) {
  const rotate = async () => {
    if (!(await ask({ title: t("webhooks.rotate"), text: t("webhooks.rotate_text"), confirm: t("webhooks.rotate") }))) return;
    const found = await attempt(post(`${path}/rotate`, {}));
    if (found) await saved(found);
  };
  return section(t("webhooks.secret"), h("p", { class: "soft" }, t("webhooks.secret_about")), h("div", { class: "row" }, button({ text: t("webhooks.rotate"), run: rotate })));
}
