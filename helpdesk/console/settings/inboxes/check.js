// Trying an inbox: each step in words, what the other side said, and what to do.

import { explain } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { icon } from "../../kernel/icons.js";
import { has, language, say, t } from "../../kernel/i18n.js";
import { button } from "../../kernel/parts.js";
import { signal } from "../../kernel/signals.js";

const wordOf = (name) => name.replaceAll(".", "_");

/**
 * One step. What it says is the connector's own, in English: others than English readers are told where it helps them
 * on.
 */
function step({ name, ok, detail }) {
  const word = wordOf(name);
  const told = detail && (!ok || language === "en" || /https?:/.test(detail));
  const advice = !ok && has(`inbox_advice.${word}`) && say(word, "inbox_advice");
  return h(
    "li",
    { class: ["inboxes-step", ok ? "good" : "bad"] },
    icon(ok ? "check" : "close", { size: 16 }),
    h(
      "div",
      { class: "grow" },
      h("span", {}, say(word, "inbox_check")),
      h("span", { class: "hidden-text" }, ok ? t("inboxes.step_good") : t("inboxes.step_bad")),
      told && h("p", { class: "hint", lang: "en" }, detail),
      advice && h("p", {}, advice),
    ),
  );
}

/** `{node, run()}`: a place for the results. `ask` starts the trial and answers what the API does. */
export function trial(ask) {
  const state = signal(null); // null, "running", what was answered, or an error
  const run = async () => {
    state.value = "running";
    try {
      state.value = await ask();
    } catch (error) {
      state.value = { error };
      throw error;
    }
    return state.peek();
  };
  const shown = () => {
    const now = state.value;
    if (!now) return null;
    if (now === "running") return h("p", { class: "hint" }, t("inboxes.checking"));
    if (now.error)
      return now.error.errors?.length
        ? h("p", { class: "error" }, t("inboxes.check_fields"))
        : h("p", { class: "error" }, explain(now.error));
    return [
      h(
        "p",
        { class: now.ok ? "inboxes-verdict good" : "inboxes-verdict bad" },
        now.ok ? t("inboxes.check_good") : t("inboxes.check_bad"),
      ),
      h("ul", { class: "inboxes-steps" }, now.checks.map(step)),
    ];
  };
  return { node: h("div", { class: "inboxes-trial", role: "status" }, shown), run };
}

/** The same with its button: what is typed is tried, saved or not. `at` begins at once. */
export function trialCard(ask, { at = false } = {}) {
  const { node, run } = trial(ask);
  const quietly = () => run().catch(() => {});
  if (at) quietly();
  return h(
    "section",
    { class: "card stack" },
    h(
      "div",
      { class: "row spread" },
      h("div", {}, h("h3", {}, t("inboxes.check")), h("p", { class: "hint" }, t("inboxes.check_hint"))),
      button({ text: t("inboxes.check_now"), icon: "refresh", run: quietly }),
    ),
    node,
  );
}
