// What is done with conversations from the list: each a change that is the same for one and for many, and that knows what
// it takes back.

import { get, post, put as send, del } from "../../kernel/api.js";
import { compare, dateTime } from "../../kernel/format.js";
import { language, say, t } from "../../kernel/i18n.js";
import { dialog } from "../../kernel/dialog.js";
import { form, selectField, textField } from "../../kernel/form.js";
import { button } from "../../kernel/parts.js";
import { go } from "../../kernel/router.js";
import { may, me } from "../../kernel/session.js";
import { directory, put } from "../../kernel/store.js";
import { attempt, toast } from "../../kernel/toast.js";
import { apply, itemsOf } from "./apply.js";
import { choose, chooseTags, chooseTime } from "./choose.js";

const snoozed = ({ status, snoozed_until }) => (status === "snoozed" ? { status, snoozed_until } : { status });

/** Resolve, or open again where all of them are resolved. */
export function resolve(ids) {
  const items = itemsOf(ids);
  const done = ids.tree ? location.pathname.startsWith("/inbox/resolved") : items.length > 0 && items.every((one) => ["resolved", "closed"].includes(one.status));
  const status = done ? "open" : "resolved";
  return apply(ids, { set: { status }, before: snoozed, told: (n) => (done ? t("acting.reopened", { n }) : t("acting.resolved", { n })) });
}

const given = (id, name) => ({
  set: { assignee_id: id },
  shown: { assignee: id ? { id, name } : null },
  before: (one) => ({ assignee_id: one.assignee?.id ?? null }),
  told: (n) => (id ? t("acting.assigned", { n, name }) : t("acting.unassigned", { n })),
});

export async function assign(ids) {
  const agents = directory("agents");
  await agents.ready;
  const others = agents.list.peek().filter((one) => one.active !== false && one.kind !== "bot" && one.id !== me.peek().id);
  const options = [
    { id: me.peek().id, text: t("acting.me", { name: me.peek().name }), name: me.peek().name },
    { id: "", text: t("acting.nobody"), name: "" },
    ...others.map(({ id, name }) => ({ id, text: name, name })).sort((a, b) => compare(a.text, b.text)),
  ];
  const chosen = await choose({ title: t("acting.assign_to"), options });
  if (chosen) await apply(ids, given(chosen.id || null, chosen.name));
}

export const take = (ids) => apply(ids, given(me.peek().id, me.peek().name));

export async function move(ids) {
  const teams = directory("teams");
  await teams.ready;
  const options = [...teams.list.peek().map(({ id, name }) => ({ id, text: name })), { id: "", text: t("acting.no_team") }];
  const chosen = await choose({ title: t("acting.move_to"), options });
  if (!chosen) return;
  const team = chosen.id ? { id: chosen.id, name: chosen.text } : null;
  await apply(ids, { set: { team_id: team?.id ?? null }, shown: { team }, before: (one) => ({ team_id: one.team?.id ?? null }), told: (n) => t("acting.moved", { n, name: chosen.text }) });
}

export async function prioritise(ids) {
  const options = ["urgent", "high", "normal", "low"].map((id) => ({ id, text: say(id, "priority") }));
  const chosen = await choose({ title: t("acting.priority"), options });
  if (chosen) await apply(ids, { set: { priority: chosen.id }, before: ({ priority }) => ({ priority }), told: (n) => t("acting.prioritised", { n, name: chosen.text }) });
}

export async function categorise(ids) {
  const known = directory("categories");
  await known.ready;
  const options = known.list.peek().filter((one) => !one.archived).map((one) => ({ id: one.key, text: one.names?.[language] ?? one.key }));
  const chosen = await choose({ title: t("acting.category"), options });
  if (chosen) await apply(ids, { set: { category: chosen.id }, before: ({ category }) => ({ category }), told: (n) => t("acting.categorised", { n, name: chosen.text }) });
}

export async function snooze(ids) {
  const until = await chooseTime();
  if (!until) return;
  const set = { status: "snoozed", snoozed_until: new Date(until).toISOString() };
  await apply(ids, { set, before: snoozed, told: (n) => t("acting.snoozed", { n, until: dateTime(until) }) });
}

export async function tag(ids) {
  const items = itemsOf(ids);
  const found = await chooseTags(items);
  if (!found) return;
  const [add, remove] = [found.add, found.remove];
  const of = (one) => ({ tags: [...one.tags.filter((name) => !remove.includes(name)), ...add.filter((name) => !one.tags.includes(name))] });
  await apply(ids, { of, actions: [{ do: "tag", add, remove }], before: ({ tags }) => ({ tags }), told: (n) => t("acting.tagged", { n }) });
}

/** Read marks are one's own: no version, no event, so the rows are told here. */
async function mark(ids, read) {
  const before = new Map(itemsOf(ids).map((one) => [one.id, one.unread]));
  const tell = (of) => put(itemsOf(ids).map((one) => ({ ...one, unread: of(one) })));
  tell(() => !read);
  const going = ids.length > 1 ? post("/conversations/read", { ids, read }) : read ? send(`/conversations/${ids[0]}/read`) : del(`/conversations/${ids[0]}/read`);
  if ((await attempt(going)) === undefined) tell((one) => before.get(one.id) ?? one.unread);
}
export const unread = (ids) => mark(ids, false);
export const read = (ids) => mark(ids, true);

/** Spam, or none where all of them are: in the list of spam the same key gives them back. */
export function spam(ids) {
  const back = new URLSearchParams(location.search).get("spam") === "true" || location.pathname.startsWith("/inbox/spam");
  const ask = (undone) => (one) => (undone ? del(`/conversations/${one.id}/spam`, { version: one.version }) : post(`/conversations/${one.id}/spam`, undefined, { version: one.version }));
  return apply(ids, { go: ask(back), undo: ask(!back), job: { spam: !back }, back: { spam: back }, before: () => ({}), told: (n) => (back ? t("acting.no_spam", { n }) : t("acting.spam", { n })) });
}

const WHOLE = { resolve, assign, move, snooze, prioritise, tag, categorise, spam };

/** All that an address asks for, also what is not in the list: what is to be done with them is chosen by how many they are. */
export async function matching(query, wordOf) {
  await directory("views").ready;
  // Of a view that is not there any more, the list shows nothing; without its filter, this would be everything.
  const gone = query.view_id && !directory("views").byId(query.view_id);
  if (gone) return void toast(t("acting.whole_none"), { kind: "info" });
  const tree = treeOf(query);
  const found = await attempt(get("/conversations/bulk", { filter: JSON.stringify(tree) }));
  if (!found) return;
  const { count, most } = found;
  if (!count || count > most) return void toast(count ? t("acting.whole_many", { n: most }) : t("acting.whole_none"), { kind: "info" });
  const options = Object.keys(WHOLE).map((id) => ({ id, text: wordOf(id) }));
  const chosen = await choose({ title: t("acting.whole", { n: count }), options });
  if (chosen) await WHOLE[chosen.id]({ tree, count });
}

/** Keep the filters of an address as a view. Answers whether it was done. */
export async function saveView(query) {
  const filter = treeOf(query);
  const teams = directory("teams");
  await teams.ready;
  const own = teams.list.peek().filter((one) => may("supervisor") || one.leads.includes(me.peek().id));
  const options = [{ id: "personal", text: t("acting.for_me") }, ...own.map(({ id, name }) => ({ id, text: name })), ...(may("supervisor") ? [{ id: "everybody", text: t("acting.for_all") }] : [])];
  const [name, whom] = [textField({ label: t("acting.view_name"), name: "name", autofocus: true, required: true }), selectField({ label: t("acting.view_for"), name: "shared", value: "personal", options })];
  const made = await dialog({
    title: t("acting.save_view"),
    body: (close) =>
      form({
        children: [name, whom],
        buttons: [button({ text: t("acting.save"), kind: "primary", type: "submit" })],
        send: async ({ name: given, shared }) => {
          const team = own.some(({ id }) => id === shared);
          const body = { name: given.trim(), shared: team ? "team" : shared, ...(team && { team_id: shared }), filter, ...(query.sort && { sort: [query.sort].flat()[0] }) };
          close(await post("/views", body));
        },
      }),
  });
  if (!made) return;
  await directory("views").refresh();
  go(`/inbox/${made.id}`);
}

const among = (field, values) => (values.length === 1 ? { field, op: "eq", value: values[0] } : { field, op: "in", value: values });

/** What the parameters of a list ask for, as a filter tree. */
function treeOf({ limit, sort, q, view_id: view, filter, spam, ...plain }) {
  const parts = Object.entries(plain).map(([field, given]) => {
    const values = [given].flat();
    const [none, named] = [values.includes("none"), values.filter((one) => one !== "none")];
    const both = [none && { field, op: "missing", value: true }, named.length > 0 && among(field, named)].filter(Boolean);
    return both.length > 1 ? { any: both } : both[0];
  });
  const kept = directory("views").byId(view)?.filter;
  if (kept && Object.keys(kept).length) parts.push(kept);
  if (filter) parts.push(JSON.parse([filter].flat()[0]));
  if (spam !== undefined) parts.push({ field: "spam", op: "eq", value: `${spam}` === "true" });
  return parts.length === 1 ? parts[0] : parts.length ? { all: parts } : {};
}
