// What a setting said before: who changed what and when, in the words of its form, and the way back.

import { get, patch } from "../kernel/api.js";
import { ask } from "../kernel/dialog.js";
import { detached, each, h } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { badge, button, skeleton } from "../kernel/parts.js";
import { flush, signal } from "../kernel/signals.js";
import { directory, settled } from "../kernel/store.js";
import { attempt } from "../kernel/toast.js";

const BREAKS = ".field, .week-day, .sentence, .lines > *";
const SILENT = "svg, datalist, .hint, .error, [hidden]";

/**
 * Below the form of `item`: its versions, read when they are unfolded. `fields(item)` makes the form's fields, and
 * tells so what changed; `read(version)` answers the whole of one where the list tells less. Whoever `may` goes back to
 * one.
 */
export function versions({ path, item, fields, tools, may, read = (one) => one }) {
  const where = `${path}/${item.id}`;
  const all = signal([]);
  const cursor = signal(undefined);
  const waits = signal(false);
  const load = async () => {
    const page = await get(`${where}/versions`, { limit: 20, cursor: cursor.peek() });
    cursor.value = page.next_cursor;
    all.update((some) => [...some, ...page.items]);
  };
  const before = async (one) => {
    const older = () => all.peek()[all.peek().indexOf(one) + 1];
    if (!older() && cursor.peek()) await load();
    return older();
  };
  const compare = async (one) => {
    const older = await before(one);
    return older ? changes(fields, item, await Promise.all([older, one].map(read))) : [];
  };
  const back = async (one) => {
    if (
      !(await ask({
        title: t("versions.back_title", { n: one.version }),
        text: t("versions.back_text"),
        confirm: t("versions.back"),
      }))
    )
      return;
    const { version, created_by: by, created_at: at, ...content } = await read(one);
    const found = await attempt(patch(where, content, { version: item.version }), { done: t("settings.saved") });
    if (found) await tools.saved(found);
  };
  const row = (one$) =>
    version(one$.peek(), {
      latest: one$.peek() === all.peek()[0],
      first: (one) => !cursor.peek() && one === all.peek().at(-1),
      compare,
      back: may && back,
    });
  const begin = async ({ target }) => {
    if (!target.open || waits.peek() || all.peek().length) return;
    waits.value = true;
    await attempt(load());
    waits.value = false;
  };
  return h(
    "details",
    { class: "settings-more settings-section", on: { toggle: begin } },
    h("summary", {}, t("versions.title")),
    h("ul", { class: "stack" }, each(() => all.value, (one) => one.version, row)),
    () => cursor.value && button({ text: t("versions.older"), kind: "quiet", run: () => attempt(load()) }),
    () => waits.value && skeleton(2),
  );
}

function version(one, { latest, first, compare, back }) {
  const found = signal(null);
  const opened = signal(false);
  const open = async ({ target }) => {
    opened.value = target.open;
    if (target.open && !found.peek()) found.value = (await attempt(compare(one))) ?? null;
  };
  const said = () => {
    if (!found.value) return opened.value && skeleton(1);
    if (found.value.length)
      return h(
        "dl",
        { class: "version-changes" },
        found.value.map(({ label, gone, come }) => [
          h("dt", {}, label),
          h(
            "dd",
            {},
            gone.map((text) => h("del", {}, text)),
            come.map((text) => h("ins", {}, text)),
          ),
        ]),
      );
    return h("p", { class: "soft" }, first(one) ? t("versions.first") : t("versions.beside"));
  };
  const who = () => (one.created_by ? (directory("agents").byId(one.created_by)?.name ?? "") : t("versions.house"));
  return h(
    "li",
    {},
    h(
      "details",
      { on: { toggle: open } },
      h(
        "summary",
        { class: "version" },
        h("span", {}, t("versions.one", { n: one.version })),
        latest && badge(t("versions.latest"), "good"),
        h("span", { class: "soft" }, who, " · ", h("time-ago", { datetime: one.created_at })),
      ),
      said,
      !latest && back && h("div", { class: "row" }, button({ text: t("versions.back"), run: () => back(one) })),
    ),
  );
}

/** What two versions say differently: both as forms that nobody sees, and read as people would read them. */
async function changes(fields, item, pair) {
  const { value: forms, dispose } = detached(() => pair.map((one) => h("div", {}, fields({ ...item, ...one }))));
  await settled(); // names of what they speak of
  flush();
  const [before, after] = forms.map(
    (form) =>
      new Map(
        [...form.querySelectorAll("[data-field]")]
          .filter((one) => !one.parentElement.closest("[data-field]"))
          .map((one) => [one.dataset.field, one]),
      ),
  );
  const names = [...new Set([...before.keys(), ...after.keys()])];
  const found = names.map((name) => {
    const [was, is] = [before, after].map((one) => linesOf(one.get(name)));
    const more = (some, other) => some.filter((line) => !other.includes(line));
    return { label: nameOf(after.get(name) ?? before.get(name)), gone: more(was, is), come: more(is, was) };
  });
  dispose();
  return found.filter(({ gone, come }) => gone.length || come.length);
}

const ownName = (field) => field.querySelector(":scope > :is(label, legend, .field-name)");
const nameOf = (field) => (ownName(field) ?? field.previousElementSibling)?.textContent ?? "";

const inLine = (node) => node.closest(".sentence");

/** What stands in a field, line by line. */
function linesOf(field) {
  const lines = [[]];
  const name = field && ownName(field);
  const add = (text) => {
    const [first, ...rest] = String(text ?? "").split("\n");
    lines.at(-1).push(first);
    for (const line of rest) lines.push([line]);
  };
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return add(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE || node === name || node.matches(SILENT)) return;
    if (node.matches(BREAKS)) lines.push([]);
    if (node.matches("select")) return add(node.selectedOptions[0]?.text);
    if (node.matches("[type=checkbox]")) return add(say(String(node.checked), "sentence.flag"));
    // A word beside a box that is not ticked is not said at all.
    if (node.matches("label") && node.querySelector("[type=checkbox]"))
      return node.control.checked && add(node.textContent);
    if (node.matches(".chip + .chip")) inLine(node) ? add("·") : lines.push([]);
    if (node.matches("input, textarea")) return add(node.value.replace(/^([\d-]{10})T/, "$1 "));
    if (node.matches("button")) return node.ariaPressed === "true" && add(node.textContent);
    if (node.matches(".span") && !node.querySelector("input").value) return add("–");
    node.childNodes.forEach(walk);
    if (node.matches(BREAKS)) lines.push([]);
  };
  if (field) walk(field);
  return [...new Set(lines.map((parts) => parts.join(" ").replace(/\s+/g, " ").trim()).filter(Boolean))];
}
