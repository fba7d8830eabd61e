// The form of one thing: makes it, changes just what was changed in it, takes it away, and minds that others do so too.

import { del, get, patch, post } from "../kernel/api.js";
import { ask } from "../kernel/dialog.js";
import { h, on } from "../kernel/dom.js";
import { form } from "../kernel/form.js";
import { list } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { button } from "../kernel/parts.js";
import { guard } from "../kernel/router.js";
import { signal } from "../kernel/signals.js";
import { attempt, toast } from "../kernel/toast.js";

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
/** What of `now` is not as it was `before`. */
const changed = (before, now) =>
  Object.fromEntries(Object.entries(now).filter(([name, value]) => !same(value, before[name])));

/** Everything that the fields say, by their names: `field.read()` where it has one, else by the kind of its control. */
export function readFields(element) {
  const fields = [...element.querySelectorAll("[data-field]")].filter(
    (one) => !one.parentElement.closest("[data-field]"),
  );
  return Object.fromEntries(fields.map((one) => [one.dataset.field, one.read ? one.read() : valueOf(one.input)]));
}

export function valueOf(input) {
  if (input.type === "checkbox") return input.checked;
  if (input.type === "number") return input.value === "" ? null : Number(input.value);
  if (input.tagName === "SELECT") return input.value || null;
  return input.tagName === "TEXTAREA" ? input.value : input.value.trim();
}

/** Say at each field that has to be filled in and is not; answers whether there is none. */
function filled(element) {
  const bare = [...element.querySelectorAll("[data-field]")].filter(
    ({ input }) => input?.required && !input.disabled && !input.closest("[hidden]") && !input.value.trim(),
  );
  for (const one of bare) one.wrong?.(t("form.needed"));
  bare[0]?.input.focus();
  return !bare.length;
}

/**
 * What both have changed, by the names of fields. The API merges `merged` part by part, so these clash by parts alone.
 */
function clashes(given, fresh, item, merged) {
  const apart = (mine, theirs, was) =>
    Object.keys(mine).filter((name) => !same(theirs?.[name], was?.[name]) && !same(theirs?.[name], mine[name]));
  const deep = (name) => apart(given[name], fresh[name], item[name]).map((part) => `${name}.${part}`);
  return apart(given, fresh, item).flatMap((name) => (merged.includes(name) ? deep(name) : name));
}

/** What is wrong in a part that is folded away is unfolded first. */
function shownAt(element, error) {
  for (const { field } of error.errors ?? []) {
    const fold = element.querySelector(`[data-field="${CSS.escape(field)}"]`)?.closest("details");
    if (fold) fold.open = true;
  }
  return error;
}

/**
 * `path` is the list's; `item` null makes one. `children` are the fields, `read` answers the body where they do not
 * speak for themselves. `saved`, `removed` and `close` are the collection's. `removeText(item)` asks before taking
 * away; without `may` all is shown and nothing can be changed. `heading` stands above, `more` below the fields, `send`
 * replaces the words of the button. A heading may be a function of `{item, change(body)}`: the item as it is by now,
 * and a change at once, beside the form. `merged` names objects of which the API takes parts; `understand` mends what
 * it answers before it is shown.
 */
export function editForm({
  path,
  item,
  heading,
  children,
  read,
  saved,
  removed,
  close,
  latest,
  updated,
  removeText,
  removable = true,
  may = true,
  more,
  send,
  merged = [],
  understand = (error) => error,
  idOf = (one) => one.id,
}) {
  const where = item && `${path}/${encodeURIComponent(idOf(item))}`;
  const state = { version: item?.version, gone: false, before: {} };
  const hand = {
    item: latest ?? signal(item),
    change: async (given) => {
      const found = await patch(where, given, { version: state.version });
      state.version = found.version;
      hand.item.value = found;
      updated?.(found);
      return found;
    },
  };
  const body = () => (read ? read(readFields(element)) : readFields(element));
  const dirty = signal(!item);
  const theirs = signal(null);
  const store = async (given) => {
    const found = item ? await patch(where, given, { version: state.version }) : await post(path, given);
    state.gone = true;
    toast(t("settings.saved"), { kind: "done" });
    await saved(found);
  };
  const submit = async () => {
    if (!filled(element)) return;
    const now = body();
    const given = item ? changed(state.before, now) : now;
    if (item && !Object.keys(given).length) return;
    try {
      await store(given);
    } catch (error) {
      if (error.slug !== "stale_version" || !item) throw shownAt(element, understand(error));
      await meet(given);
    }
  };
  // Somebody else was faster. Where he changed other things both stand; where the same, one of the two is chosen.
  const meet = async (given) => {
    const fresh = await get(where);
    state.version = fresh.version;
    const both = clashes(given, fresh, item, merged);
    if (both.length) return void (theirs.value = { fresh, both });
    toast(t("settings.changed_too"));
    await store(given);
  };
  const remove = async () => {
    const name = item.name ?? item.title ?? "";
    if (
      !(await ask({
        title: t("settings.remove_title", { name }),
        text: removeText?.(item) ?? t("settings.remove_text"),
        confirm: t("settings.remove"),
        danger: true,
      }))
    )
      return;
    const done = await attempt(takeAway(where, state), { done: t("settings.removed") });
    if (done === undefined) return;
    state.gone = true;
    await removed();
  };
  const element = form({
    send: submit,
    children: [
      (typeof heading === "function" ? heading(hand) : heading) ??
        h(
          "h2",
          { class: "settings-heading", tabindex: "-1", data: { focus: true } },
          item ? (item.name ?? item.title) : t("settings.new"),
        ),
      h("fieldset", { class: "stack settings-fields", disabled: !may }, children),
      () =>
        theirs.value &&
        conflict(element, theirs, { keep: submit, take: () => ((state.gone = true), saved(theirs.peek().fresh)) }),
    ],
    buttons: may
      ? [
          button({
            text: send ?? (item ? t("settings.save") : t("settings.make")),
            kind: "primary",
            type: "submit",
            disabled: () => !dirty.value,
          }),
          button({ text: t("shell.cancel"), run: close }),
          item &&
            removable &&
            button({ text: t("settings.remove"), icon: "trash", kind: "quiet settings-remove", run: remove }),
        ]
      : h("p", { class: "hint" }, t("settings.only_look")),
  });
  state.before = body();
  const touched = () => !same(state.before, body());
  const look = () => (dirty.value = !item || touched());
  for (const type of ["input", "change", "click"]) element.addEventListener(type, () => queueMicrotask(look));
  if (may) minded(() => state.gone || !touched());
  // Where nothing can be changed nothing has the focus, and the keyboard would scroll nothing.
  const looked = may ? {} : { tabindex: "0", role: "group", "aria-label": t("settings.only_look") };
  return h("div", { class: "settings-form", ...looked }, element, more);
}

// A 412 means that it was changed since: whoever asked to take it away meant it as it is now, and was just asked.
async function takeAway(where, state) {
  try {
    await del(where, { version: state.version });
  } catch (error) {
    if (error.slug !== "stale_version") throw error;
    state.version = (await get(where)).version;
    await del(where, { version: state.version });
  }
  return true;
}

/** What was typed is not lost by a slip: leaving asks, and so does closing the page. */
function minded(clean) {
  guard(
    async () =>
      clean() ||
      ask({
        title: t("settings.leave_title"),
        text: t("settings.leave_text"),
        confirm: t("settings.leave"),
        danger: true,
      }),
  );
  on(window, "beforeunload", (event) => clean() || event.preventDefault());
}

function conflict(element, theirs, { keep, take }) {
  const labels = theirs
    .peek()
    .both.map(
      (name) =>
        element.querySelector(`[data-field="${CSS.escape(name)}"] :is(label, legend, .field-name)`)?.textContent ??
        name,
    );
  return h(
    "div",
    { class: "settings-conflict", role: "alert" },
    h("p", {}, t("settings.conflict", { names: list(labels) })),
    h(
      "div",
      { class: "row" },
      button({ text: t("settings.keep_mine"), kind: "primary", run: () => ((theirs.value = null), keep()) }),
      button({ text: t("settings.take_theirs"), run: take }),
    ),
  );
}
