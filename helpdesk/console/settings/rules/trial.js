// Where a saved rule would have acted, and what it did: before it is trusted, and when somebody asks why.

import { get, post } from "../../kernel/api.js";
import { each, h } from "../../kernel/dom.js";
import { number } from "../../kernel/format.js";
import { say, t } from "../../kernel/i18n.js";
import { badge, button } from "../../kernel/parts.js";
import { signal } from "../../kernel/signals.js";
import { attempt } from "../../kernel/toast.js";
import { section } from "../once.js";

const DAYS = 7;

export const trial = (item) => h("div", {}, dryRun(item), runs(item));

function dryRun(item) {
  const found = signal(null);
  const go = async () => {
    const answer = await attempt(post(`/automation-rules/${item.id}/dry-run`, { days: DAYS }));
    if (answer) found.value = answer;
  };
  const row = (one$) => {
    const one = one$.peek();
    return h(
      "li",
      {},
      h(
        "a",
        { href: `/conversations/${one.conversation_id}` },
        t("rules.number", { number: number(one.number, { useGrouping: false }) }),
      ),
      h("span", { class: "grow soft" }, say(one.event.replace(".", "_"), "rules.event")),
      h("span", {}, one.actions.map((kind) => say(kind, "sentence.do")).join(" · ")),
      h("time-ago", { class: "soft", datetime: one.at }),
    );
  };
  const told = () => {
    const answer = found.value;
    if (!answer) return null;
    const count = answer.items.length;
    return [
      h(
        "p",
        { role: "status" },
        count ? t("rules.would", { n: count, count: number(count) }) : t("rules.would_not"),
        !answer.complete && ` ${t("rules.incomplete")}`,
      ),
      h(
        "ul",
        { class: "plain-rows rule-found" },
        each(
          () => answer.items,
          (one) => `${one.conversation_id}${one.event_id ?? one.at}`,
          row,
        ),
      ),
    ];
  };
  return section(
    t("rules.try"),
    h("p", { class: "soft" }, t("rules.try_hint", { n: DAYS })),
    h("div", { class: "row" }, button({ text: t("rules.try_now"), icon: "eye", run: go })),
    told,
  );
}

/** The latest times that it acted. */
function runs(item) {
  const list = signal(null);
  get(`/automation-rules/${item.id}/runs`, { limit: 20 }).then(({ items }) => (list.value = items), () => {});
  const kinds = { done: "good", partly: "warn", looped: "bad" };
  const row = (one$) => {
    const one = one$.peek();
    const troubles = one.actions.filter((action) => action.problem);
    return h(
      "li",
      {},
      h(
        "a",
        { href: `/conversations/${one.conversation_id}`, class: "grow" },
        one.actions.map((action) => say(action.do, "sentence.do")).join(" · "),
      ),
      troubles.map((action) => badge(say(action.problem, "rules.problem"), "warn")),
      badge(say(one.outcome, "rules.outcome"), kinds[one.outcome]),
      h("time-ago", { class: "soft", datetime: one.created_at }),
    );
  };
  return () =>
    list.value &&
    section(
      t("rules.runs"),
      list.value.length
        ? h(
            "ul",
            { class: "plain-rows" },
            each(
              () => list.value,
              (one) => one.id,
              row,
            ),
          )
        : h("p", { class: "soft" }, t("rules.no_runs")),
    );
}
