// What was done to a conversation, in words: one line for what one person did at a time.

import { h } from "../kernel/dom.js";
import { dateTime, list } from "../kernel/format.js";
import { has, language, say, t } from "../kernel/i18n.js";
import { directory } from "../kernel/store.js";

const RANKS = ["low", "normal", "high", "urgent"];
const TOGETHER_MS = 5 * 60_000;
const MOST = 4; // lines that are shown at once; of more, the first and the last

const nameIn = (directoryName, id) => directory(directoryName).byId(id)?.name;
const quoted = (text) => t("conversation.quoted", { text });

/** Who did it, or "" where the house did it by itself. */
function doer(by, contact) {
  const [kind, id] = String(by ?? "").split(":");
  if (kind === "agent" || kind === "bot") return nameIn("agents", id) ?? say(kind, "author");
  if (kind === "contact") return contact || say("contact", "author");
  return "";
}

/** What an event says, as short pieces; none where there is nothing to say. */
function piecesOf({ type, data }) {
  if (type === "conversation.created") return [t("conversation.began", { channel: say(data.channel, "channel") })];
  if (type === "conversation.assigned") return assigned(data);
  if (type === "conversation.status_changed") return [t("conversation.now_status", { status: say(data.after, "status") })];
  if (type === "conversation.merged") return [data.into_id ? t("conversation.merged_into") : t("conversation.unmerged")];
  if (type === "conversation.updated") return Object.entries(data.changes ?? {}).flatMap(([name, value]) => CHANGES[name]?.(value, data) ?? []);
  if (type.startsWith("sla.")) return promised(type, data);
  if (type === "escalation.advanced") return [t("conversation.escalated", { step: (data.step ?? 0) + 1 })];
  // The alerts that a promise raises say what the promise's own line says.
  if (type === "alert.raised") return /^sla_|^escalation/.test(data.kind) ? [] : [t("conversation.alert_raised", { kind: say(data.kind, "conversation.alert") })];
  return type === "alert.acknowledged" ? [t("conversation.alert_taken")] : [];
}

function promised(type, data) {
  const kind = say(data.kind, "conversation.clock");
  if (type === "sla.warning") return [t("conversation.sla_warning", { kind })];
  if (type === "sla.breached") return [t("conversation.sla_breached", { kind })];
  return [data.late ? t("conversation.sla_late", { kind }) : t("conversation.sla_met", { kind })];
}

function assigned(data) {
  const found = [];
  if (data.assignee_id !== data.assignee_before) {
    const name = data.assignee_id && (nameIn("agents", data.assignee_id) ?? say("agent", "author"));
    found.push(name ? t("conversation.assigned_to", { name }) : t("conversation.unassigned"));
  }
  if (data.team_id !== data.team_before) {
    const name = data.team_id && nameIn("teams", data.team_id);
    found.push(name ? t("conversation.team_now", { name }) : t("conversation.team_gone"));
  }
  const why = data.reason && has(`conversation.because.${data.reason}`) ? say(data.reason, "conversation.because") : "";
  return why && found.length ? [...found.slice(0, -1), `${found.at(-1)} ${why}`] : found;
}

const category = (key) => directory("categories").byId(key)?.names?.[language] ?? key;
const field = (key) => directory("custom-fields").byId(key)?.title ?? key;
const without = (some, others) => (some ?? []).filter((one) => !(others ?? []).includes(one));

const CHANGES = {
  priority: ([, after]) => [t("conversation.now_priority", { priority: say(RANKS[after] ?? after, "priority") })],
  category: ([, after]) => [after ? t("conversation.now_category", { name: category(after) }) : t("conversation.no_category")],
  subject: ([, after]) => [t("conversation.now_subject", { subject: quoted(after) })],
  custom_fields: (keys) => [t("conversation.fields_changed", { names: list(keys.map(field)) })],
  snoozed_until: ([, after]) => (after ? [t("conversation.snoozed_until", { time: dateTime(after) })] : []),
  tags: ([before, after]) => [
    ...without(after, before).map((name) => t("conversation.tagged", { name })),
    ...without(before, after).map((name) => t("conversation.untagged", { name })),
  ],
  watchers: ([before, after]) => [
    ...without(after, before).map((id) => t("conversation.watches", { name: nameIn("agents", id) ?? say("agent", "author") })),
    ...without(before, after).map((id) => t("conversation.watches_no_more", { name: nameIn("agents", id) ?? say("agent", "author") })),
  ],
  participants: ([before, after]) => [after > before ? t("conversation.participant_added") : t("conversation.participant_removed")],
  spam: ([, after]) => [after ? t("conversation.is_spam") : t("conversation.is_no_spam")],
  split: () => [t("conversation.was_split")],
  split_from: () => [t("conversation.split_from")],
  rating: ([, after]) => (after ? [t("conversation.rated", { score: after })] : []),
  handoff: () => [t("conversation.handed_off")],
  channel: ([, after]) => [t("conversation.goes_on", { channel: say(after, "channel") })],
  messages: (value) => (Array.isArray(value) ? [] : [Object.values(value).every((names) => String(names) === "hidden") ? t("conversation.seen_by") : t("conversation.messages_changed")]),
};

/** Lines of `{at, who, pieces}`, those of one person within some minutes as one. */
export function linesOf(events, contact) {
  const lines = [];
  for (const event of events) {
    const pieces = piecesOf(event);
    if (!pieces.length) continue;
    const who = doer(event.data?.by ?? (event.data?.agent_id ? `agent:${event.data.agent_id}` : ""), contact);
    const last = lines.at(-1);
    if (last && last.who === who && Date.parse(event.occurred_at) - Date.parse(last.at) < TOGETHER_MS) last.pieces.push(...pieces.filter((one) => !last.pieces.includes(one)));
    else lines.push({ at: event.occurred_at, who, pieces, late: event.type === "sla.breached" });
  }
  return lines;
}

/** The events between two messages. Many are folded: the first and the last tell most. */
export function eventLines(row$, contact) {
  return h("div", { class: "events" }, () => {
    const lines = linesOf(row$.value.events, contact());
    if (lines.length <= MOST) return lines.map(line);
    return [
      line(lines[0]),
      h("details", {}, h("summary", {}, t("conversation.more_changes", { n: lines.length - 2 })), lines.slice(1, -1).map(line)),
      line(lines.at(-1)),
    ];
  });
}

const line = ({ at, who, pieces, late }) =>
  h("p", { class: ["event", late && "bad"] }, who && h("strong", {}, who), who && " · ", pieces.join(" · "), " ", h("time-ago", { datetime: at, brief: true }));
