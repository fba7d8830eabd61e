// Elements, without markup out of strings: whatever came from outside ends as a text node or a checked attribute.

import { effect, flush, isSignal, onCleanup, scope, signal, untracked } from "./signals.js";

const SVG = "http://www.w3.org/2000/svg";
const ADDRESSES = new Set(["href", "src", "action", "formaction"]);
const SAFE = /^(?:https?:|mailto:|tel:|blob:|data:image\/(?:png|jpeg|gif|webp);|\/|\?|#|$)/i;
const PROPERTIES = new Set(["value", "checked", "indeterminate", "disabled", "selected", "hidden", "scrollTop", "open"]);

/** An HTML element. Functions among props and children are followed; `on`, `class`, `style`, `data` and `ref` are apart. */
export function h(tag, props, ...children) {
  return build(document.createElement(tag), props, children);
}

/** The same in SVG. */
export function s(tag, props, ...children) {
  return build(document.createElementNS(SVG, tag), props, children);
}

function build(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name === "on") for (const [type, handler] of Object.entries(value)) element.addEventListener(type, handler);
    else if (name === "style") for (const [key, one] of Object.entries(value)) bind(one, (v) => setStyle(element, key, v));
    else if (name === "data") for (const [key, one] of Object.entries(value)) bind(one, (v) => setData(element, key, v));
    else if (name !== "ref") bind(value, (given) => set(element, name, given));
  }
  append(element, children);
  props?.ref?.(element);
  return element;
}

/** Do it with the value, and again whenever it changes. */
function bind(value, apply) {
  if (typeof value === "function") effect(() => apply(value()));
  else if (isSignal(value)) effect(() => apply(value.value));
  else apply(value);
}

function set(element, name, value) {
  if (name.startsWith("on") || name === "srcdoc" || name === "innerHTML" || name === "outerHTML") {
    throw new Error(`${name} is not for markup: use on: {}`);
  }
  if (name === "class") return setClass(element, value);
  if (ADDRESSES.has(name) && value != null && !SAFE.test(String(value).trim())) value = null;
  // An option's value is its text until the attribute is there: an empty one has to be said.
  if (PROPERTIES.has(name) && name in element && !(name === "value" && element.tagName === "OPTION")) {
    const next = typeof element[name] === "boolean" ? Boolean(value) : (value ?? "");
    if (element[name] !== next) element[name] = next;
  } else if (value == null || (value === false && !name.startsWith("aria-"))) element.removeAttribute(name);
  else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
}

function setClass(element, value) {
  const names = (Array.isArray(value) ? value.flat() : [value]).filter(Boolean).join(" ");
  if (names) element.setAttribute("class", names);
  else element.removeAttribute("class");
}

const setData = (element, key, value) => {
  if (value == null || value === false) delete element.dataset[key];
  else element.dataset[key] = value === true ? "" : value;
};
const setStyle = (element, key, value) => {
  if (value == null) element.style.removeProperty(key);
  else element.style.setProperty(key, String(value));
};

function append(parent, children) {
  for (const child of children) {
    if (child == null || child === false || child === true) continue;
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.append(child);
    else if (typeof child === "function" || isSignal(child)) parent.append(following(child));
    else parent.append(String(child));
  }
}

/** What a function answers, in its place. A text that changes stays the same node. */
function following(read) {
  const holder = document.createDocumentFragment();
  const mark = document.createComment("");
  holder.append(mark);
  let shown = [];
  effect(() => {
    const found = isSignal(read) ? read.value : read();
    const plain = typeof found === "string" || typeof found === "number";
    if (plain && shown.length === 1 && shown[0].nodeType === Node.TEXT_NODE) {
      if (shown[0].data !== String(found)) shown[0].data = String(found);
      return;
    }
    const next = document.createDocumentFragment();
    append(next, [found]);
    for (const node of shown) node.remove();
    shown = [...next.childNodes];
    mark.before(next);
  });
  onCleanup(() => shown.forEach((node) => node.remove()));
  return holder;
}

/** One of two, made anew when the condition turns over and not in between. */
export function when(condition, then, otherwise = () => null) {
  const turned = signal(false);
  effect(() => {
    turned.value = Boolean(condition());
  });
  return () => (turned.value ? untracked(then) : untracked(otherwise));
}

/**
 * A node for each item, by key. Items that stay keep their node, which only moves: focus, scroll and what was typed are
 * kept. `render(item$, index$)` gets signals, so that a changed item changes its node and does not replace it.
 */
export function each(items, keyOf, render) {
  const holder = document.createDocumentFragment();
  const mark = document.createComment("");
  holder.append(mark);
  let rows = new Map();
  effect(() => {
    const list = items() ?? [];
    untracked(() => {
      const next = new Map();
      list.forEach((item, index) => {
        const key = keyOf(item);
        const row = rows.get(key) ?? made(item, index, render);
        row.item.value = item;
        row.index.value = index;
        next.set(key, row);
      });
      for (const [key, row] of rows) if (next.get(key) !== row) row.end();
      place([...next.values()].map((row) => row.node), mark);
      rows = next;
    });
  });
  onCleanup(() => rows.forEach((row) => row.end()));
  return holder;
}

// Rows outlive the effect that made them, so their scopes hang on no owner: `each` ends them itself.
function made(item, index, render) {
  const [item$, index$] = [signal(item), signal(index)];
  const { value: node, dispose } = detached(() => render(item$, index$));
  return { item: item$, index: index$, node, end: () => (node.remove(), dispose()) };
}

/** Put nodes in order before the mark, from the end, touching only those that stand elsewhere. */
function place(nodes, mark) {
  let after = mark;
  for (const node of nodes.toReversed()) {
    if (node.nextSibling !== after) put(node, after);
    after = node;
  }
}

/** A move keeps focus, scroll and frames where the browser can do it; taking out and putting in keeps none. */
function put(node, after) {
  const parent = after.parentNode;
  if (parent.moveBefore && parent.isConnected && node.isConnected) parent.moveBefore(node, after);
  else parent.insertBefore(node, after);
}

/** A scope that ends only when told to. */
export function detached(work) {
  return scope.apart(work);
}

/** Show in the parent until the answer is called. */
export function mount(parent, view) {
  const { value, dispose } = detached(view);
  parent.replaceChildren(value);
  return () => {
    dispose();
    parent.replaceChildren();
  };
}

/** A listener that ends with what is being made. */
export function on(target, type, handler, options) {
  target.addEventListener(type, handler, options);
  onCleanup(() => target.removeEventListener(type, handler, options));
}

/** One listener for all descendants that match, also those to come. */
export function delegate(element, type, selector, handler) {
  on(element, type, (event) => {
    const found = event.target.closest?.(selector);
    if (found && element.contains(found)) handler(event, found);
  });
}

/** Focus, once what waits to be shown is there. */
export function focusOn(element) {
  flush();
  element?.focus({ preventScroll: true });
}
