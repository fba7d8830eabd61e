// What can be done with the selected conversations, or with the one that is open: keys, the palette, and the bar that takes
// the place of the tools while something is selected. How it is done is loaded with the first use.

import { command } from "../kernel/commands.js";
import { h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { menu } from "../kernel/popover.js";
import { loadArea } from "../kernel/router.js";

/** Id in the commands, key, drawing, and the function of acting.js. Some keys are the open conversation's own. */
const ACTIONS = [
  ["resolve-conversation", "e", "check", "resolve"],
  ["assign-conversation", "a", "person", "assign"],
  ["take-conversation", "m", "person", "take", true],
  ["snooze-conversation", "s", "snooze", "snooze"],
  ["prioritise-conversations", "p", "flag", "prioritise", true],
  ["tag-conversations", "l", "tag", "tag", true],
  ["unread-conversations", "u", "mail", "unread", true],
  ["read-conversations", "", "eye", "read", true],
  ["move-conversations", "t", "people", "move", true],
  ["sort-conversations", "", "filter", "categorise", true],
  ["spam-conversation", "#", "shield", "spam"],
];

const wordOf = (name) =>
  ({
    resolve: () => t("inbox.do_resolve"),
    assign: () => t("inbox.do_assign"),
    take: () => t("inbox.do_take"),
    snooze: () => t("inbox.do_snooze"),
    prioritise: () => t("inbox.do_prioritise"),
    tag: () => t("inbox.do_tag"),
    unread: () => t("inbox.do_unread"),
    read: () => t("inbox.do_read"),
    move: () => t("inbox.do_move"),
    categorise: () => t("inbox.do_categorise"),
    spam: () => t("inbox.do_spam"),
  })[name]();

const act = async (name, ids) => (await loadArea("inbox/acting"))[name](ids);

/** `targets()` are the ids that are meant; `open()` whether the conversation pane has one, with keys of its own. */
export function actionCommands({ targets, chosen, open }) {
  for (const [id, key, drawing, name, own] of ACTIONS) {
    const when = () => targets().length > 0 && !(own && open() && !chosen());
    command({ id, keys: key || undefined, icon: drawing, text: wordOf(name), group: t("inbox.title"), when, run: () => act(name, targets()) });
  }
}

const SHOWN = ["assign", "resolve", "snooze", "tag"];

export const matching = async (wanted) => (await loadArea("inbox/acting")).matching(wanted.peek(), wordOf);

/** How many are selected, and what can be done with them. */
export function selectionBar({ selected, targets, ids, wanted }) {
  const all = () => selected.value.size < (ids.value?.length ?? 0);
  const tool = ([, , drawing, name]) => button({ icon: drawing, label: wordOf(name), kind: "quiet", run: () => act(name, targets()) });
  const more = button({
    icon: "more",
    label: t("inbox.more"),
    kind: "quiet",
    "aria-haspopup": "menu",
    run: () => {
      const rest = ACTIONS.filter(([, , , name]) => !SHOWN.includes(name)).map(([, key, drawing, name]) => ({ text: wordOf(name), icon: drawing, keys: key || undefined, run: () => act(name, targets()) }));
      menu(more, [...rest, "-", { text: t("inbox.select_all", { n: ids.peek().length }), disabled: !all(), run: () => (selected.value = new Set(ids.peek())) }, { text: t("inbox.matching"), icon: "filter", disabled: Boolean(wanted.peek().q), run: () => matching(wanted) }]);
    },
  });
  return h(
    "div",
    { class: "row inbox-tools" },
    ACTIONS.filter(([, , , name]) => SHOWN.includes(name)).map(tool),
    more,
    button({ icon: "close", label: t("inbox.clear"), kind: "quiet", run: () => (selected.value = new Set()) }),
  );
}
