// Several things at once: chosen by name, looked at before they are done.

import { post } from "../kernel/api.js";
import { combobox } from "../kernel/combobox.js";
import { dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { compare } from "../kernel/format.js";
import { has, say, t } from "../kernel/i18n.js";
import { badge, button, empty } from "../kernel/parts.js";
import { directory, put, refresh } from "../kernel/store.js";
import { attempt, toast } from "../kernel/toast.js";
import { focused, withVersion } from "./doing.js";

/** Choose a macro, see what it would do here, do it. */
export async function chooseMacro(now, messages) {
  const macros = directory("macros");
  if ((await attempt(macros.ready)) === undefined) return;
  if (!macros.list.peek().length) return void toast(t("actions.no_macros"), { kind: "info" });
  const all = macros.list.peek().map((one) => ({ ...one, text: one.name })).sort((one, other) => compare(one.text, other.text));
  const find = (text) => all.filter((one) => `${one.name} ${one.description}`.toLowerCase().includes(text.trim().toLowerCase()));
  const render = (one) => h("span", { class: "actions-offer" }, h("span", {}, one.name), h("span", { class: "soft cut grow" }, one.description));
  const macro = await dialog({ title: t("actions.macro"), kind: "palette", body: (close) => focused(combobox({ label: t("actions.which_macro"), placeholder: t("actions.which_macro"), open: true, find, choose: close, render })) });
  if (macro) await look(macro, now, messages);
}

async function look(macro, now, messages) {
  const found = await attempt(post(`/macros/${macro.id}/preview`, { conversation_id: now.id }));
  if (!found) return;
  const bad = !found.actions.length || found.actions.some((one) => one.refused);
  const done = await dialog({
    title: macro.name,
    body: () => h("div", { class: "stack" }, macro.description && h("p", { class: "soft" }, macro.description), list(found.actions)),
    actions: (close) => [button({ text: t("shell.cancel"), run: () => close() }), button({ text: t("actions.do_it"), kind: "primary", disabled: bad, autofocus: true, run: async () => close(await run(macro, now, messages)) })],
  });
  if (!done) return;
  put(done.conversation);
  toast(t("actions.macro_done", { name: macro.name }), { kind: "done" });
  refresh(now.id).catch(() => {});
}

const run = (macro, now, messages) => {
  const body = { conversation_id: now.id, seen_seq: messages.peek()?.at(-1)?.seq };
  return attempt(withVersion(now, (version) => post(`/macros/${macro.id}/run`, body, { version, key: true })));
};

const list = (steps) => (steps.length ? h("ol", { class: "actions-steps" }, steps.map(step)) : empty({ title: t("actions.nothing") }));

function step({ do: what, after, refused }) {
  const words = h("strong", {}, say(what, "step"));
  if (refused) return h("li", {}, words, " ", badge(t("actions.refused"), "bad"), " ", h("span", { class: "soft" }, has(`problem.${refused}`) ? t(`problem.${refused}`) : refused));
  return h("li", {}, words, " ", h("span", { class: "actions-after" }, shown(after)));
}

const WORDS = { status: "status", priority: "priority" };

/** What will be, by people's names: an id where a name is known, a word of the API where we have one for it. */
function shown(after) {
  if (after && "text" in after) return after.text;
  const one = ([name, value]) => {
    if (value === null || value === undefined || typeof value === "boolean") return [];
    if (WORDS[name]) return say(value, WORDS[name]);
    if (Array.isArray(value)) return value.map((part) => nameOf(part)).join(", ");
    return typeof value === "object" ? (value.name ?? []) : nameOf(value);
  };
  return Object.entries(after ?? {}).flatMap(one).join(" · ");
}

const nameOf = (id) => directory("agents").byId(id)?.name ?? directory("teams").byId(id)?.name ?? String(id?.name ?? id);
