// What contacts said when they were asked how it went: scores with their words, and the conversations they are about.

import { h } from "../kernel/dom.js";
import { endless } from "../kernel/endless.js";
import { checkField } from "../kernel/form.js";
import { number } from "../kernel/format.js";
import { say, t } from "../kernel/i18n.js";
import { badge } from "../kernel/parts.js";
import { signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";

const SCORES = [5, 4, 3, 2, 1];
const kindOf = (score) => (score > 3 ? "good" : score < 3 ? "bad" : "warn");
const scoreText = (score) => t("reports.score", { score: number(score) });

/** Those that the figures above are made of: `asked` is what these were asked with. */
export function answers({ after, before, assignee_id: agents, ...same }) {
  const [score, worded] = [signal(""), signal(false)];
  const query = () => ({
    ...Object.fromEntries(["channel", "inbox_id", "team_id", "category"].map((name) => [name, same[name]])),
    agent_id: agents,
    asked_after: after,
    asked_before: before,
    score: score.value || undefined,
    commented: worded.value || undefined,
  });
  const all = [h("option", { value: "" }, t("reports.any")), ...SCORES.map((one) => h("option", { value: one }, scoreText(one)))];
  const choose = { change: (event) => (score.value = event.target.value) };
  const none = () => h("p", { class: "soft" }, t("reports.no_answers"));
  return h(
    "section",
    { class: "card reports-card reports-answers" },
    h("h2", {}, t("reports.answers")),
    h(
      "div",
      { class: "row" },
      h("select", { class: "input", "aria-label": t("reports.score_filter"), on: choose }, all),
      checkField({ name: "worded", label: t("reports.worded"), value: worded }),
    ),
    endless({ path: "/ratings", query, none, label: t("reports.answers"), kind: "reports-said", row: (one$) => answer(one$.peek()) }),
  );
}

function answer(one) {
  const names = () => [directory("inboxes").byId(one.inbox_id)?.name, directory("agents").byId(one.agent_id)?.name];
  const where = () => [say(one.channel, "channel"), ...names()].filter(Boolean).join(" · ");
  const link = h("a", { href: `/conversations/${one.conversation_id}` }, `#${number(one.number, { useGrouping: false })}`);
  return h(
    "li",
    {},
    badge(scoreText(one.score), kindOf(one.score)),
    h("p", { class: ["reports-words", !one.comment && "soft"] }, one.comment || t("reports.no_words")),
    h("p", { class: "soft reports-where" }, link, " · ", where, " · ", h("time-ago", { datetime: one.rated_at })),
  );
}
