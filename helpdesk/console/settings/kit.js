// One way for all settings: a list of things, and beside it the form of the one whose address is open.

import { every, explain, get } from "../kernel/api.js";
import { detached, each, focusOn, h } from "../kernel/dom.js";
import { compare } from "../kernel/format.js";
import { icon } from "../kernel/icons.js";
import { t } from "../kernel/i18n.js";
import { badge, button, empty, linkButton, pane, skeleton } from "../kernel/parts.js";
import { go, here, setTitle } from "../kernel/router.js";
import { effect, onCleanup, signal, untracked } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";

export { editForm } from "./form.js";

const MANY = 9; // from so many on, a box to find one in

/**
 * A page of the settings. `from` is the list's path below the API, `page` its name below /settings. `row(item)` answers
 * `{title, text?, badges?: [[text, kind]], icon?}`; `add` is the word on the button that makes one, null where the
 * person may not; `editor(item or null, {saved(item), removed(), close()})` answers the form. With `whole` the editor
 * is given what `from/ID` answers, where rows tell less. `names` is the kernel's directory that holds the same things;
 * `order` compares two items, `read` replaces reading `from` page by page; `live(put)` may follow the stream and put
 * what has changed.
 */
export function collection(given) {
  const kit = {
    order: (one, other) => compare(one.name ?? one.title, other.name ?? other.title),
    read: () => every(given.from),
    idOf: (item) => item.id,
    ...given,
  };
  kit.items = signal(null);
  kit.wrong = signal(null);
  kit.load = async () => {
    try {
      const items = await kit.read();
      kit.wrong.value = null;
      kit.items.value = items.toSorted(kit.order);
    } catch (error) {
      kit.wrong.value = error;
    }
  };
  kit.latest = signal(null);
  kit.put = (item) => {
    kit.items.update((all) =>
      [...(all ?? []).filter((one) => kit.idOf(one) !== kit.idOf(item)), item].toSorted(kit.order),
    );
    if (kit.latest.peek() && kit.idOf(kit.latest.peek()) === kit.idOf(item)) kit.latest.value = item;
  };
  kit.load();
  kit.live?.(kit.put);
  setTitle(kit.title);
  const address = `/settings/${kit.page}`;
  const opened = () => (here.value.params.page === kit.page ? (here.value.params.id ?? "") : "");
  const add = kit.add && linkButton({ text: kit.add, icon: "plus", kind: "primary", href: `${address}/new` });
  return h(
    "div",
    { class: "settings-kit", data: { at: () => (opened() ? "one" : "list") } },
    pane({ title: kit.title, tools: add, name: "settings-list" }, kit.hint && h("p", { class: "hint" }, kit.hint), () =>
      rows(kit, address, opened),
    ),
    editorPlace(kit, address, opened),
  );
}

function rows(kit, address, opened) {
  if (kit.wrong.value && !kit.items.value) return failed(kit.wrong.value, kit.load);
  if (!kit.items.value) return skeleton(5);
  return untracked(() => list(kit, address, opened));
}

function list(kit, address, opened) {
  const wanted = signal("");
  const words = (item) =>
    Object.values(kit.row(item))
      .filter((one) => typeof one === "string")
      .join(" ")
      .toLocaleLowerCase();
  const shown = () =>
    kit.items.value.filter((item) => !wanted.value || words(item).includes(wanted.value.toLocaleLowerCase()));
  const link = (item$) => {
    const row = () => kit.row(item$.value);
    const id = kit.idOf(item$.peek());
    return h(
      "li",
      {},
      h(
        "a",
        {
          class: "settings-row",
          href: `${address}/${encodeURIComponent(id)}`,
          "aria-current": () => (opened() === id ? "true" : null),
        },
        row().icon && icon(row().icon),
        h(
          "span",
          { class: "grow" },
          h("span", { class: "settings-name" }, () => row().title),
          h("span", { class: "settings-text cut" }, () => row().text ?? ""),
        ),
        () => (row().badges ?? []).map(([text, kind]) => badge(text, kind)),
      ),
    );
  };
  const box = h("input", {
    class: "input",
    type: "search",
    "aria-label": t("settings.find"),
    placeholder: t("settings.find"),
    on: { input: (event) => (wanted.value = event.target.value) },
  });
  return [
    kit.items.peek().length >= MANY && box,
    h("ul", { class: "settings-rows" }, each(shown, kit.idOf, link)),
    () =>
      kit.items.value.length
        ? !shown().length && h("p", { class: "hint", role: "status" }, t("settings.found_none"))
        : empty({ icon: "settings", ...kit.none }),
  ];
}

/** What went wrong, what to do, and the button that does it. */
export const failed = (error, again) =>
  empty({
    icon: "offline",
    title: t("settings.not_read"),
    text: explain(error),
    action: button({ text: t("shell.again"), run: again }),
  });

/** The place of the form. It is made anew only when another one is opened: what somebody types is his until then. */
function editorPlace(kit, address, opened) {
  const holder = h("div", { class: "settings-one" });
  let shown = { dispose: () => {} };
  let id;
  const put = (build) => {
    shown.dispose();
    shown = detached(() => h("div", { class: "settings-editor" }, backLink(kit, address), build()));
    holder.replaceChildren(shown.value);
  };
  onCleanup(() => shown.dispose());
  const tools = {
    close: () => go(address),
    latest: kit.latest,
    updated: kit.put,
    saved: async (item) => {
      const known = kit.items.peek()?.some((one) => kit.idOf(one) === kit.idOf(item));
      kit.put(item);
      if (kit.names) directory(kit.names).refresh();
      id = kit.idOf(item);
      edit(kit, item, put, tools);
      if (!known) await go(`${address}/${encodeURIComponent(id)}`, { replace: true });
      focusOn(holder.querySelector("[data-focus]"));
    },
    removed: async () => {
      kit.items.update((all) => all.filter((one) => kit.idOf(one) !== id));
      if (kit.names) directory(kit.names).refresh();
      await go(address, { replace: true });
      focusOn(holder.parentElement?.querySelector("h1"));
    },
  };
  effect(() => {
    const wanted = opened();
    if (wanted === id || (wanted && wanted !== "new" && !kit.items.value)) return;
    id = wanted;
    untracked(() => open(kit, wanted, put, tools, () => wanted === id));
  });
  return holder;
}

function edit(kit, item, put, tools) {
  kit.latest.value = item;
  put(() => kit.editor(item, tools));
}

async function open(kit, wanted, put, tools, stillWanted) {
  const known = kit.items.peek()?.find((one) => kit.idOf(one) === wanted);
  if (!wanted)
    return put(() =>
      h(
        "div",
        { class: "settings-nothing" },
        () => kit.items.value?.length > 0 && empty({ icon: "edit", title: t("settings.choose") }),
      ),
    );
  if (wanted === "new")
    return put(() => (kit.add ? kit.editor(null, tools) : empty({ icon: "shield", title: t("problem.forbidden") })));
  if (known && !kit.whole) return edit(kit, known, put, tools);
  put(() => skeleton(4));
  try {
    const item = await get(`${kit.from}/${encodeURIComponent(wanted)}`);
    if (stillWanted()) edit(kit, item, put, tools);
  } catch (error) {
    if (stillWanted() && error.status === 404)
      put(() =>
        empty({
          icon: "search",
          title: t("problem.not_found"),
          action: linkButton({ text: kit.title, href: `/settings/${kit.page}` }),
        }),
      );
    else if (stillWanted()) put(() => failed(error, () => open(kit, wanted, put, tools, stillWanted)));
  }
}

// On a phone the form takes the list's place: this leads back.
const backLink = (kit, address) =>
  h("a", { class: "button quiet phone-only settings-back", href: address }, icon("back"), h("span", {}, kit.title));
