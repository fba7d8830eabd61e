// Jobs: what takes longer than a click. How far each is, what became of each thing in it, and a way to end it.

import { every, get, post } from "../../kernel/api.js";
import { ask } from "../../kernel/dialog.js";
import { h } from "../../kernel/dom.js";
import { endless } from "../../kernel/endless.js";
import { dateTime, number } from "../../kernel/format.js";
import { has, say, t } from "../../kernel/i18n.js";
import { badge, button } from "../../kernel/parts.js";
import { onCleanup, signal } from "../../kernel/signals.js";
import { conversation, directory, put as keep } from "../../kernel/store.js";
import { attempt } from "../../kernel/toast.js";
import { collection } from "../kit.js";
import { section } from "../once.js";

const LOOK_MS = 2000;
const MOST = 200;
const KINDS = { done: "good", failed: "bad", cancelled: "warn", running: "note", queued: "" };
const OUTCOMES = { done: "good", unchanged: "", refused: "bad" };

const goesOn = (one) => one.state === "queued" || one.state === "running";
const stateOf = (one) => (one.error === "cancelled" ? "cancelled" : one.state);
const stateWords = (one) => [say(stateOf(one), "jobs.state"), KINDS[stateOf(one)]];
const progress = (one) => t("jobs.progress", { done: number(one.done), total: number(one.total) });
const trouble = (one) => (one.error === "cancelled" ? "" : one.error);

export const jobs = () =>
  collection({
    page: "jobs",
    from: "/jobs",
    title: t("jobs.title"),
    hint: t("jobs.hint"),
    none: { title: t("jobs.none"), text: t("jobs.none_text"), icon: "refresh" },
    read: () => every("/jobs", {}, MOST),
    order: (one, other) => Date.parse(other.created_at) - Date.parse(one.created_at),
    row: (one) => ({
      title: say(one.kind, "jobs.kind"),
      text: `${dateTime(one.created_at)} · ${progress(one)}`,
      badges: [stateWords(one)],
    }),
    live: follow,
    editor: shown,
  });

/** No event tells of a job: those that go on are looked at while somebody sees them, and once more at their end. */
function follow(put) {
  let going = [];
  const look = async () => {
    if (document.hidden) return;
    const { items } = await get("/jobs", { state: ["queued", "running"], limit: 100 });
    const ended = going.filter((id) => !items.some((one) => one.id === id));
    going = items.map((one) => one.id);
    for (const one of [...items, ...(await Promise.all(ended.map((id) => get(`/jobs/${id}`))))]) put(one);
  };
  const timer = setInterval(() => look().catch(() => {}), LOOK_MS);
  look().catch(() => {});
  onCleanup(() => clearInterval(timer));
}

function shown(item, { latest, updated }) {
  const path = `/jobs/${item.id}`;
  const one = () => latest.value ?? item;
  const cancel = async () => {
    const words = { title: t("jobs.cancel_title"), text: t("jobs.cancel_text"), confirm: t("jobs.cancel") };
    const found =
      (await ask({ ...words, danger: true })) && (await attempt(post(`${path}/cancel`), { done: t("jobs.cancelled") }));
    if (found) updated(found);
  };
  const heading = { class: "settings-heading grow", tabindex: "-1", data: { focus: true } };
  const part = () => (goesOn(one()) || one().done ? one().done : 1);
  const bar = { class: "house-progress", max: () => one().total || 1, value: part, "aria-label": t("jobs.looked_at") };
  const hint = () => (goesOn(one()) ? t("jobs.again") : t("jobs.failed"));
  const end = () => h("div", { class: "row" }, button({ text: t("jobs.cancel"), icon: "close", run: cancel }));
  return h(
    "div",
    { class: "stack" },
    h("div", { class: "row" }, h("h2", heading, say(item.kind, "jobs.kind")), () => badge(...stateWords(one()))),
    h("progress", bar),
    h("dl", { class: "facts" }, () => facts(one()).map(([word, value]) => [h("dt", {}, word), h("dd", {}, value)])),
    () => trouble(one()) && h("p", { class: "settings-conflict" }, hint()),
    () => goesOn(one()) && item.created_by && end(),
    results(path, one),
  );
}

function facts(one) {
  const found = [
    [t("jobs.by"), one.created_by ? (directory("agents").byId(one.created_by)?.name ?? "") : say("system", "author")],
    [t("jobs.begun"), dateTime(one.created_at)],
    one.finished_at && [t("jobs.ended"), dateTime(one.finished_at)],
    [t("jobs.looked_at"), progress(one)],
    [t("jobs.changed"), number(one.changed)],
    one.refused > 0 && [t("jobs.refused"), number(one.refused)],
    trouble(one) && [t("jobs.error"), h("code", {}, trouble(one))],
  ];
  return found.filter(Boolean);
}

/** What became of each conversation, as far as it has come. */
function results(path, one) {
  const known = signal(0);
  const found = (items) => {
    known.value += items.length;
    const ids = items.map((result) => result.subject_id).filter((id) => !conversation(id).peek());
    if (ids.length) get("/conversations", { id: ids, limit: 100 }).then((page) => keep(page.items), () => {});
  };
  const why = ({ refused, detail }) => (has(`problem.${refused}`) ? say(refused, "problem") : detail || refused);
  const row = (one$) => {
    const { subject_id: id, outcome } = one$.peek();
    const about = () => conversation(id).value;
    const name = () => (about() ? `#${about().number} ${about().subject}` : t("jobs.conversation"));
    return h(
      "li",
      {},
      h("a", { class: "grow cut", href: `/conversations/${id}` }, name),
      h("span", { class: "soft" }, why(one$.peek())),
      badge(say(outcome, "jobs.outcome"), OUTCOMES[outcome]),
    );
  };
  // Read again when it has come to its end: until then there is less of it.
  const query = () => (one().state, {});
  const key = (result) => result.position;
  const looks = { label: t("jobs.results"), kind: "plain-rows" };
  const list = endless({ path: `${path}/results`, query, row, found, key, ...looks, none: () => null });
  return h("div", { hidden: () => !known.value }, section(t("jobs.results"), list));
}
