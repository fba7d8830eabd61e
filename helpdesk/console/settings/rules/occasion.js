// When a rule is asked: at events, or some time after.

import { h } from "../../kernel/dom.js";
import { say, t } from "../../kernel/i18n.js";
import { signal, untracked } from "../../kernel/signals.js";
import { choice$, picks$, span$, words } from "../pick.js";

const EVENTS = [
  "message.received", "message.created", "message.sent", "message.failed", "message.uncertain",
  "conversation.created", "conversation.updated", "conversation.assigned", "conversation.status_changed",
  "sla.warning", "sla.breached", "sla.met", "escalation.advanced",
]; // prettier-ignore
const SINCE = ["waiting_since", "last_activity_at", "created_at", "status_changed_at", "assigned_at"];
export const OF_MESSAGES = ["message.received", "message.created"];

/** The field `when`. `events` is a signal of the chosen events, null while time is what counts. */
export function occasion({ value, events }) {
  const elapsed = value?.elapsed ?? {
    since: "waiting_since",
    minutes: 240,
    business_time: false,
    include_existing: false,
  };
  const kind = signal(value?.elapsed ? "elapsed" : "events");
  const chosen = signal(value?.events ?? ["message.received"]);
  const [since, seconds] = [signal(elapsed.since), signal(elapsed.minutes * 60)];
  const [business, existing] = [signal(elapsed.business_time), signal(elapsed.include_existing)];
  const turn = () => (events.value = kind.peek() === "events" ? chosen.peek() : null);
  const pickEvents = picks$({
    label: t("rules.events"),
    options: words(EVENTS, (one) => say(one.replace(".", "_"), "rules.event")),
    value: chosen,
  });
  pickEvents.addEventListener("change", turn);
  const kinds = words(["events", "elapsed"], (one) => say(one, "rules.kind"));
  const ofTime = [
    span$({ label: t("rules.after"), value: seconds }),
    choice$({ label: t("rules.since"), options: words(SINCE, (one) => say(one, "rules.from")), value: since }),
    check(t("rules.business_time"), business),
    check(t("rules.include_existing"), existing),
  ];
  const wrong = signal("");
  const first = choice$({ label: t("rules.occasion"), options: kinds, value: kind, change: turn });
  const node = h(
    "div",
    { class: "field", data: { field: "when" } },
    h(
      "div",
      { class: "lines" },
      h("div", { class: "sentence" }, first, () => (kind.value === "events" ? pickEvents : untracked(() => ofTime))),
    ),
    h("p", { class: "error", role: "alert" }, () => wrong.value),
  );
  const read = () =>
    kind.peek() === "events"
      ? { events: chosen.peek() }
      : {
          elapsed: {
            since: since.peek(),
            minutes: Math.round((seconds.peek() ?? 0) / 60),
            business_time: business.peek(),
            include_existing: existing.peek(),
          },
        };
  // What the API answers names both ways, one of them null.
  return Object.assign(node, { input: first, read, wrong: (text) => (wrong.value = text) });
}

const check = (label, value) =>
  h(
    "label",
    { class: "row" },
    h("input", {
      type: "checkbox",
      checked: value.peek(),
      on: { change: (event) => (value.value = event.target.checked) },
    }),
    label,
  );
