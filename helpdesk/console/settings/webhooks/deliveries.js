// What was sent to a webhook and how it was taken: try it, send again, and change its secret.

import { get, post } from "../../kernel/api.js";
import { ask } from "../../kernel/dialog.js";
import { each, h } from "../../kernel/dom.js";
import { form, textField } from "../../kernel/form.js";
import { number } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { badge, button, linkButton } from "../../kernel/parts.js";
import { onCleanup, signal } from "../../kernel/signals.js";
import { attempt } from "../../kernel/toast.js";
import { section } from "../once.js";
import { choice$, pickMany, words } from "../pick.js";

export const EVENTS = [
  "conversation.created", "conversation.updated", "conversation.assigned", "conversation.status_changed",
  "conversation.merged",
  "message.received", "message.created", "message.sent", "message.failed", "message.uncertain",
  "sla.warning", "sla.breached", "sla.met",
  "escalation.advanced", "alert.raised", "alert.acknowledged", "alert.resolved",
  "contact.created", "contact.updated", "contact.merged", "inbox.failing", "inbox.recovered",
]; // prettier-ignore
const LOOK_MS = 1500;
const KINDS = { sent: "good", failed: "bad", queued: "note" };

export function deliveries(item, { saved }) {
  const path = `/webhooks/${item.id}`;
  const [list, status] = [signal(null), signal(null)];
  let timer = 0;
  let asked = 0;
  onCleanup(() => ((asked += 1), clearTimeout(timer)));
  // No event tells of a delivery: while one is on its way it is looked at again.
  const read = async () => {
    const mine = (asked += 1);
    const { items } = await get(`${path}/deliveries`, { limit: 20, status: status.peek() ?? undefined });
    if (mine !== asked) return; // others are asked for by now, or nobody looks any more
    list.value = items;
    clearTimeout(timer);
    if (items.some((one) => one.status === "queued" && !one.attempts))
      timer = setTimeout(() => read().catch(() => {}), LOOK_MS);
  };
  read().catch(() => (list.value = []));
  const act = (going) => attempt(going.then(read));
  const row = (one$) => {
    const one = () => one$.value;
    return h(
      "li",
      {},
      h("code", {}, one$.peek().type),
      h(
        "span",
        { class: "grow soft cut" },
        () => one().error || (one().last_status ? t("webhooks.answered", { status: one().last_status }) : ""),
      ),
      () => badge(say(one().status, "webhooks.status"), KINDS[one().status]),
      h("time-ago", { class: "soft", datetime: one$.peek().created_at }),
      () =>
        one().status === "failed" &&
        button({ text: t("webhooks.again"), run: () => act(post(`${path}/deliveries/${one$.peek().id}/replay`)) }),
    );
  };
  const states = words(Object.keys(KINDS), (one) => say(one, "webhooks.status"));
  return [
    section(
      t("webhooks.deliveries"),
      h(
        "div",
        { class: "row sentence" },
        button({
          text: t("webhooks.test"),
          icon: "send",
          disabled: !item.enabled,
          run: () => act(post(`${path}/test`)),
        }),
        button({ text: t("webhooks.look"), icon: "refresh", run: () => attempt(read()) }),
        choice$({
          label: t("webhooks.shown"),
          options: states,
          value: status,
          none: t("webhooks.any"),
          change: () => attempt(read()),
        }),
      ),
      h("ul", { class: "plain-rows" }, each(() => list.value, (one) => one.id, row)),
      () => list.value && !list.value.length && h("p", { class: "soft" }, t("webhooks.no_deliveries")),
    ),
    again(path, item),
    secret(path, saved),
  ];
}

/**
 * Everything that happened in a time, told once more: after an outage at the other end, or to fill a system that is
 * new.
 */
function again(path, item) {
  const job = signal(null);
  const types = item.events.includes("*") ? EVENTS : item.events;
  const options = words(types, (one) => one);
  const only = pickMany({ name: "types", label: t("webhooks.only"), hint: t("webhooks.only_hint"), options });
  const exact = (text) => (text ? new Date(text).toISOString() : null);
  const send = async ({ since, until }, element) => {
    if (!since) return element.querySelector('[data-field="since"]').wrong(t("form.needed"));
    const body = { since: exact(since), until: exact(until), ...(only.read().length ? { types: only.read() } : {}) };
    const { job_id: id } = await post(`${path}/replay`, body);
    job.value = await get(`/jobs/${id}`);
  };
  const told = () => {
    const { id, total } = job.value;
    const counted = h("span", {}, t("webhooks.telling", { n: total, count: number(total) }));
    const link = linkButton({ text: t("webhooks.progress"), href: `/settings/jobs/${id}` });
    return h("div", { class: "row", role: "status" }, counted, link);
  };
  const time = (name, label) => textField({ name, label, type: "datetime-local", step: "1" });
  const element = form({
    send,
    children: [
      h("div", { class: "pair" }, time("since", t("webhooks.since")), time("until", t("webhooks.until"))),
      h("p", { class: "hint" }, t("webhooks.until_hint")),
      only,
    ],
    buttons: button({ text: t("webhooks.tell"), icon: "refresh", type: "submit", disabled: !item.enabled }),
  });
  return section(
    t("webhooks.tell"),
    h("p", { class: "soft" }, t("webhooks.tell_hint")),
    element,
    () => job.value && told(),
  );
}

function secret(path, saved) {
  const rotate = async () => {
    if (!(await ask({ title: t("webhooks.rotate"), text: t("webhooks.rotate_text"), confirm: t("webhooks.rotate") })))
      return;
    const found = await attempt(post(`${path}/rotate`, {}));
    if (found) await saved(found);
  };
  return section(
    t("webhooks.secret"),
    h("p", { class: "soft" }, t("webhooks.secret_about")),
    h("div", { class: "row" }, button({ text: t("webhooks.rotate"), run: rotate })),
  );
}
