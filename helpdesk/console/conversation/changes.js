// Changes of a conversation by one field or two. Somebody else's change in between is no error: where it is about something else,
// ours is made on top of it; where it is about the same, we look again.

import { explain, isAbort, patch } from "../kernel/api.js";
import { ask } from "../kernel/dialog.js";
import { dateTime } from "../kernel/format.js";
import { say, t } from "../kernel/i18n.js";
import { detail, put, refresh } from "../kernel/store.js";
import { toast } from "../kernel/toast.js";

const STANDS = {
  assignee_id: (one) => one.assignee?.id ?? null,
  team_id: (one) => one.team?.id ?? null,
};
const valueOf = (one, name) => JSON.stringify((STANDS[name] ?? ((given) => given[name] ?? null))(one));

/** Change fields of a conversation; `done` is what the reader is told, with a way back. Answers whether it was changed. */
export async function change(id, body, { done } = {}) {
  const before = detail(id).peek() ?? (await refresh(id));
  try {
    const now = await changed(id, body, before);
    if (!now) return false;
    put(now);
    if (done) toast(done, { kind: "done", action: { text: t("shell.undo"), run: () => change(id, backTo(before, body)) } });
    return true;
  } catch (error) {
    if (!isAbort(error)) toast(explain(error), { kind: "wrong" });
    return false;
  }
}

async function changed(id, body, before) {
  try {
    return await patch(`/conversations/${id}`, body, { version: before.version });
  } catch (error) {
    if (error.slug !== "stale_version") throw error;
    const now = await refresh(id);
    const contested = Object.keys(body).filter((name) => valueOf(now, name) !== valueOf(before, name));
    const agreed = contested.every((name) => valueOf(now, name) === JSON.stringify(body[name]));
    if (!agreed && !(await ask({ title: t("conversation.contested"), text: contested.map((name) => nowIs(name, now)).join(" "), confirm: t("conversation.change_anyway") }))) return null;
    return patch(`/conversations/${id}`, body, { version: now.version });
  }
}

const nowIs = (name, now) => t("conversation.contested_now", { field: say(name, "conversation.field"), value: wordOf(name, now) });

function wordOf(name, one) {
  if (name === "status") return say(one.status, "status");
  if (name === "priority") return say(one.priority, "priority");
  if (name === "assignee_id") return one.assignee?.name ?? t("conversation.nobody");
  if (name === "team_id") return one.team?.name ?? t("conversation.no_team");
  if (name === "snoozed_until") return one.snoozed_until ? dateTime(one.snoozed_until) : "–";
  if (name === "tags") return one.tags.join(", ") || "–";
  return String(one[name] || "–");
}

/** The change that takes this one back. */
function backTo(before, body) {
  const names = Object.keys(body).filter((name) => name !== "snoozed_until" || before.status === "snoozed");
  const back = Object.fromEntries(names.map((name) => [name, JSON.parse(valueOf(before, name))]));
  if (back.status === "snoozed") back.snoozed_until = before.snoozed_until;
  return back;
}
