// A filter as sentences: all, any or none of these hold, and these may be such groups again.

import { each, h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { flush, signal, untracked } from "../kernel/signals.js";
import { control, fieldOptions, fieldOf, leafOf, opOptions, treeOf } from "./filter-fields.js";
import { choice$, removeLine } from "./pick.js";

const DEEPEST = 3; // of groups within each other: deeper ones are shown, but none is made here
let keys = 0;

const group = (kind, items) => ({ key: (keys += 1), kind: signal(kind), items: signal(items) });

/** The model of a tree: groups and leaves. What is no group at the top stands in one of its own. */
function modelOf(tree) {
  const found = partOf(tree);
  return found?.items ? found : group("all", found ? [found] : []);
}

function partOf(tree) {
  if (!tree || !Object.keys(tree).length) return null;
  if (tree.all) return group("all", tree.all.map(partOf).filter(Boolean));
  if (tree.any) return group("any", tree.any.map(partOf).filter(Boolean));
  if (!tree.not) return { key: (keys += 1), ...leafOf(tree) };
  return group("none", (tree.not.any ?? [tree.not]).map(partOf).filter(Boolean));
}

function written(part) {
  if (!part.items) return treeOf(part);
  const items = part.items.peek().map(written).filter(Boolean);
  if (!items.length) return null;
  const kind = part.kind.peek();
  if (kind === "none") return { not: items.length === 1 ? items[0] : { any: items } };
  return items.length === 1 ? items[0] : { [kind]: items };
}

/**
 * The field of a form that edits a filter tree. With `messages` it may ask for the message that an event is about, with
 * `personal` for what depends on who looks. `read()` answers the tree.
 */
export function conditions({ value = {}, name = "filter", label, messages = () => false, personal = false }) {
  const root = modelOf(value);
  const wrong = signal("");
  const offers = { messages, personal };
  const node = h(
    "div",
    { class: "field", data: { field: name } },
    label && h("span", { class: "field-name" }, label),
    groupNode(root, offers, 1, null),
    h("p", { class: "error", role: "alert" }, () => wrong.value),
  );
  const read = () => written(root) ?? {};
  return Object.assign(node, {
    node,
    read,
    wrong: (text) => (wrong.value = text),
    input: node.querySelector("select, button"),
  });
}

function groupNode(part, offers, depth, remove) {
  const kinds = () => [
    { id: "all", text: t("sentence.all") },
    { id: "any", text: t("sentence.any") },
    { id: "none", text: t("sentence.none") },
  ];
  const without = (one) => () => {
    const at = part.items.peek().indexOf(one);
    part.items.update((all) => all.filter((other) => other !== one));
    flush();
    const left = element.querySelectorAll(":scope > .lines > *");
    (
      left[Math.min(at, left.length - 1)]?.querySelector("select") ?? element.querySelector(":scope > .row > .button")
    )?.focus();
  };
  const add = (one) => {
    part.items.update((all) => [...all, one]);
    flush();
    element.querySelector(":scope > .lines > :last-child select")?.focus();
  };
  const line = (one$) => {
    const one = one$.peek();
    return one.items ? groupNode(one, offers, depth + 1, without(one)) : leafNode(one, offers, without(one));
  };
  const element = h(
    "div",
    { class: "sentence-group", role: "group", "aria-label": t("sentence.group") },
    h(
      "div",
      { class: "sentence", hidden: () => depth === 1 && !part.items.value.length },
      choice$({ label: t("sentence.group_kind"), options: kinds, value: part.kind }),
      remove && removeLine(t("sentence.remove_group"), remove),
    ),
    depth === 1 && h("p", { class: "hint", hidden: () => part.items.value.length > 0 }, t("sentence.always")),
    h("div", { class: "lines" }, each(() => part.items.value, (one) => one.key, line)),
    h(
      "div",
      { class: "row" },
      button({
        text: t("sentence.add_condition"),
        icon: "plus",
        kind: "quiet",
        run: () => add({ key: (keys += 1), ...leafOf({ field: "status", op: "eq", value: "open" }) }),
      }),
      depth < DEEPEST &&
        button({
          text: t("sentence.add_group"),
          icon: "plus",
          kind: "quiet",
          run: () => add(group("any", [{ key: (keys += 1), ...leafOf({ field: "status", op: "eq", value: "open" }) }])),
        }),
    ),
  );
  return element;
}

function leafNode(leaf, offers, remove) {
  const turn = () => {
    const ops = opOptions(leaf.field.peek());
    leaf.op.value = ops[0].id;
    leaf.value.value = fieldOf(leaf.field.peek()).blank(leaf.op.peek());
  };
  const changed = (op) => (leaf.value.value = fieldOf(leaf.field.peek()).keep(op, leaf.value.peek()));
  if (leaf.raw)
    return h(
      "div",
      { class: "sentence" },
      h("code", { class: "grow cut" }, JSON.stringify(leaf.raw)),
      removeLine(t("sentence.remove_condition"), remove),
    );
  return h(
    "div",
    { class: "sentence", role: "group", "aria-label": t("sentence.condition") },
    choice$({ label: t("sentence.what"), options: () => fieldOptions(offers), value: leaf.field, change: turn }),
    () => (
      leaf.field.value,
      untracked(() =>
        choice$({
          label: t("sentence.how"),
          options: () => opOptions(leaf.field.peek()),
          value: leaf.op,
          change: changed,
        }),
      )
    ),
    () => (leaf.field.value, leaf.op.value, untracked(() => control(leaf))),
    removeLine(t("sentence.remove_condition"), remove),
  );
}
