// Two conversations that are one, and one that is two.

import { get, post, Problem } from "../kernel/api.js";
import { combobox } from "../kernel/combobox.js";
import { ask, dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { dateTime } from "../kernel/format.js";
import { say, t } from "../kernel/i18n.js";
import { badge, button } from "../kernel/parts.js";
import { go } from "../kernel/router.js";
import { signal } from "../kernel/signals.js";
import { put, refresh } from "../kernel/store.js";
import { attempt, toast } from "../kernel/toast.js";
import { doing, focused, withVersion } from "./doing.js";

const BEGINNING = 160;

/** Choose another conversation and put this one into it. First those of the same contact are offered. */
export async function merge(now) {
  const into = await dialog({
    title: t("actions.merge"),
    kind: "wide",
    body: (close) => h("div", { class: "stack" }, h("p", { class: "soft" }, t("actions.merge_hint", { number: now.number })), focused(combobox({ label: t("actions.which"), placeholder: t("actions.which_hint"), open: true, find: (text) => found(now, text), choose: close, render: offer }))),
  });
  if (!into) return;
  await mergeInto(now, into, false);
}

async function found(now, text) {
  const query = text.trim() ? { q: text.trim() } : { contact_id: now.contact.id };
  const { items } = await get("/conversations", { ...query, limit: 25 });
  return items.filter((one) => one.id !== now.id && one.status !== "closed").map((one) => ({ ...one, text: one.subject }));
}

const offer = (one) =>
  h("span", { class: "actions-offer" }, h("span", { class: "soft" }, `#${one.number}`), h("span", { class: "cut grow" }, one.subject || one.preview), h("span", { class: "soft cut" }, one.contact.name || one.contact.handle), badge(say(one.status, "status")));

async function mergeInto(now, into, other) {
  try {
    await withVersion(now, (version) => post(`/conversations/${now.id}/merge`, { into: into.id, other_contact: other }, { version }));
  } catch (error) {
    if (!(error instanceof Problem) || error.slug !== "other_contact") return void attempt(Promise.reject(error));
    // Of another person: what he may read of the first one's is for a person to decide.
    const name = into.contact.name || into.contact.handle;
    const sure = await ask({ title: t("actions.merge"), text: t("actions.other_contact", { name }), confirm: t("actions.merge_anyway"), danger: true });
    if (sure) await mergeInto(now, into, true);
    return;
  }
  const undo = async () => {
    const fresh = await refresh(now.id);
    await doing(fresh, (version) => post(`/conversations/${now.id}/unmerge`, undefined, { version }), t("actions.unmerged"));
    go(`/conversations/${now.id}`);
  };
  toast(t("actions.merged", { number: into.number }), { kind: "done", action: { text: t("shell.undo"), run: undo } });
  refresh(now.id).catch(() => {});
  go(`/conversations/${into.id}`);
}

/** Choose messages that are about something else; they become a conversation of their own. */
export async function split(now, messages) {
  const said = (messages.peek() ?? []).filter((one) => one.type !== "activity");
  const chosen = signal(new Set());
  const turn = (id) => chosen.update((ids) => new Set(ids.has(id) ? [...ids].filter((one) => one !== id) : [...ids, id]));
  const row = ({ id, author, created_at: at, new_text: fresh, text }) =>
    h("label", { class: "actions-message" }, h("input", { type: "checkbox", on: { change: () => turn(id) } }), h("span", {}, h("strong", {}, author.name || say(author.kind, "author")), h("span", { class: "soft" }, ` ${dateTime(at)}`), h("span", { class: "actions-beginning" }, (fresh || text).slice(0, BEGINNING))));
  const all = () => chosen.value.size === 0 || chosen.value.size === said.length;
  const ids = await dialog({
    title: t("actions.split"),
    kind: "wide",
    body: () => h("div", { class: "stack" }, h("p", { class: "soft" }, t("actions.split_hint")), said.map(row)),
    actions: (close) => [button({ text: t("shell.cancel"), run: () => close() }), button({ text: t("actions.split_off"), kind: "primary", disabled: all, run: () => close([...chosen.peek()]) })],
  });
  if (!ids) return;
  const made = await doing(now, (version) => post(`/conversations/${now.id}/split`, { message_ids: ids }, { version }), t("actions.was_split"));
  if (!made) return;
  put(made);
  go(`/conversations/${made.id}`);
}
