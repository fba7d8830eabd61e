// What is done to a whole conversation now and then: the entries of its menu, and the same as commands.

import { del, get, patch, post } from "../kernel/api.js";
import { command } from "../kernel/commands.js";
import { ask, dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { checkField } from "../kernel/form.js";
import { t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { me } from "../kernel/session.js";
import { directory } from "../kernel/store.js";
import { attempt, toast } from "../kernel/toast.js";
import { doing } from "./doing.js";
import { handOver, transfer } from "./handing.js";
import { chooseMacro } from "./macros.js";
import { merge, split } from "./merging.js";

/** The entries of a conversation's menu; `now` is its detail, `messages` what was said in it. */
export function entries(now, { messages }) {
  const path = `/conversations/${now.id}`;
  const watching = now.watchers.some((one) => one.id === me.peek().id);
  const live = directory("channels").byId(now.channel)?.capabilities?.live;
  const open = now.status !== "closed" && !now.merged_into_id;
  const unmerge = () => doing(now, (version) => post(`${path}/unmerge`, undefined, { version }), t("actions.unmerged"));
  return [
    { text: t("actions.macro"), icon: "star", keys: "m", run: () => chooseMacro(now, messages), disabled: !open },
    { text: watching ? t("actions.unwatch") : t("actions.watch"), icon: "eye", run: () => watch(now, watching) },
    { text: t("actions.transfer"), icon: "people", run: () => transfer(now), disabled: !open },
    !live && { text: t("actions.hand_over"), icon: "chat", run: () => handOver(now), disabled: !open || !now.reply_channels.length },
    Boolean(now.contact_presence) && { text: t("actions.transcript"), icon: "mail", run: () => transcript(now) },
    "-",
    now.merged_into_id ? { text: t("actions.unmerge"), icon: "link", run: unmerge } : { text: t("actions.merge"), icon: "link", run: () => merge(now), disabled: !open || now.spam },
    { text: t("actions.split"), icon: "filter", run: () => split(now, messages), disabled: Boolean(now.merged_into_id) || now.spam },
    "-",
    now.spam ? { text: t("actions.no_spam"), icon: "shield", run: () => noSpam(now) } : { text: t("actions.spam"), icon: "shield", danger: true, run: () => spam(now), disabled: Boolean(now.merged_into_id) },
  ].filter(Boolean);
}

/** The same as commands, until what is being made ends. `one` is the conversation's detail as a signal. */
export function conversationCommands(one, { messages }) {
  const group = t("actions.group");
  const open = () => Boolean(one.peek()) && one.peek().status !== "closed" && !one.peek().merged_into_id;
  const offer = (id, text, run, keys) => command({ id, keys, text, group, when: open, run: () => run(one.peek(), messages) });
  offer("macro", t("actions.macro"), chooseMacro, "m");
  offer("transfer", t("actions.transfer"), transfer);
  offer("merge", t("actions.merge"), merge);
  offer("split", t("actions.split"), split);
  offer("spam", t("actions.spam"), spam);
}

const watch = (now, watching) => {
  const path = `/conversations/${now.id}/watchers`;
  if (watching) return doing(now, (version) => del(path, { version, query: { agent_id: me.peek().id } }), t("actions.unwatched"));
  return doing(now, () => post(path), t("actions.watched"));
};

const noSpam = (now) => doing(now, (version) => del(`/conversations/${now.id}/spam`, { version }), t("actions.no_spam_done"));

async function spam(now) {
  const block = checkField({ label: t("actions.block", { name: now.contact.name || now.contact.handle }), hint: t("actions.block_hint") });
  const sure = await dialog({
    title: t("actions.spam"),
    body: () => h("div", { class: "stack" }, h("p", {}, t("actions.spam_hint")), block),
    actions: (close) => [button({ text: t("shell.cancel"), run: () => close() }), button({ text: t("actions.mark"), kind: "danger", autofocus: true, run: () => close(true) })],
  });
  if (!sure) return;
  const contact = `/contacts/${now.contact.id}`;
  const blocks = block.input.checked && !(await attempt(get(contact)))?.blocked;
  // Who was blocked along with it is let in again along with it: what he wrote would be put away in silence.
  const undo = async () => {
    if ((await noSpam(now)) === undefined || !blocks) return;
    const { version } = await get(contact);
    await patch(contact, { blocked: false }, { version });
  };
  await doing(now, (version) => post(`/conversations/${now.id}/spam`, { block_contact: block.input.checked }, { version }), t("actions.spam_done"), undo);
}

async function transcript(now) {
  const sure = await ask({ title: t("actions.transcript"), text: t("actions.transcript_hint"), confirm: t("actions.send") });
  if (sure && (await attempt(post(`/conversations/${now.id}/transcript`))) !== undefined) toast(t("actions.transcript_done"), { kind: "done" });
}
