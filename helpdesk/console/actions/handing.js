// Giving a conversation on: to a team or a colleague, or to a chat of ours where less can be read along.

import { post, Problem } from "../kernel/api.js";
import { dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { compare } from "../kernel/format.js";
import { form, selectField, textField } from "../kernel/form.js";
import { LANGUAGES, t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { me } from "../kernel/session.js";
import { directory, put, refresh } from "../kernel/store.js";
import { toast } from "../kernel/toast.js";
import { withVersion } from "./doing.js";

const byName = (one, other) => compare(one.text, other.text);
const choices = (list) => list.map(({ id, name }) => ({ id, text: name })).sort(byName);

/** A form in a dialog. What the API refuses stands in it, and nothing that was typed is gone. */
export const formDialog = ({ title, children, confirm, send, kind }) =>
  dialog({
    title,
    kind,
    body: (close) =>
      form({
        children,
        send: async (values) => close(await send(values)),
        buttons: [button({ text: t("shell.cancel"), run: () => close() }), button({ text: confirm, kind: "primary", type: "submit" })],
      }),
  });

/** Give it to a team, to a colleague, or to both, with a note for them. */
export async function transfer(now) {
  const [teams, agents] = [directory("teams"), directory("agents")];
  await Promise.all([teams.ready, agents.ready]);
  const none = { id: "", text: t("actions.as_it_is") };
  const people = agents.list.peek().filter((one) => one.active !== false && one.kind !== "bot" && one.id !== me.peek().id);
  const done = await formDialog({
    title: t("actions.transfer"),
    confirm: t("actions.give"),
    children: [
      selectField({ label: t("actions.team"), name: "team_id", options: [none, ...choices(teams.list.peek())], autofocus: true }),
      selectField({ label: t("actions.colleague"), name: "assignee_id", options: [{ id: "", text: t("actions.anybody") }, ...choices(people)] }),
      textField({ label: t("actions.note"), hint: t("actions.note_hint"), name: "note", rows: 3 }),
    ],
    send: ({ team_id: team, assignee_id: agent, note }) => {
      if (!team && !agent) throw new Problem(422, { errors: [{ field: "team_id", message: "is needed" }] });
      const body = { ...(team ? { team_id: team } : {}), ...(agent ? { assignee_id: agent } : {}), note };
      return withVersion(now, (version) => post(`/conversations/${now.id}/transfer`, body, { version }));
    },
  });
  if (!done) return;
  put(done);
  toast(t("actions.given"), { kind: "done" });
  refresh(now.id).catch(() => {});
}

/** Invite to a chat of ours: where the contact is known by nothing but a public name, personal things can be said there. */
export async function handOver(now) {
  const inboxes = directory("inboxes");
  const channels = directory("channels");
  await Promise.all([inboxes.ready, channels.ready]);
  const live = inboxes.list.peek().filter((one) => channels.byId(one.channel)?.capabilities.live);
  if (!live.length) return void toast(t("actions.no_chat"), { kind: "info" });
  const spoken = LANGUAGES[now.language] ? now.language : "en";
  const key = crypto.randomUUID?.() ?? String(Math.random());
  const done = await formDialog({
    title: t("actions.hand_over"),
    confirm: t("actions.invite"),
    children: [
      h("p", {}, t("actions.hand_over_hint")),
      selectField({ label: t("actions.chat"), name: "inbox_id", options: choices(live) }),
      selectField({ label: t("actions.language"), name: "language", value: spoken, options: Object.entries(LANGUAGES).map(([id, text]) => ({ id, text })) }),
      textField({ label: t("actions.public_words"), hint: t("actions.public_words_hint"), name: "text", rows: 3 }),
    ],
    send: (values) => post(`/conversations/${now.id}/handoff`, values, { key }),
  });
  if (!done) return;
  toast(t("actions.invited"), { kind: "done" });
  refresh(now.id).catch(() => {});
}
