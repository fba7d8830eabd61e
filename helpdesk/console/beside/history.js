// What else there was with somebody, the latest first; each row follows what happens to it.

import { get } from "../kernel/api.js";
import { each, h } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { badge, button } from "../kernel/parts.js";
import { signal } from "../kernel/signals.js";
import { conversation, put } from "../kernel/store.js";
import { attempt } from "../kernel/toast.js";
import { reading, shown } from "./reading.js";

const KINDS = { open: "good", pending: "note", snoozed: "note" };

/** The conversations of a contact, `limit` at a time, without the one that is open (`but`). `rest` links to what is beyond. */
export function history(contactId, { limit, but, rest }) {
  const query = { contact_id: contactId, sort: "-last_activity_at", limit };
  const page = async (cursor) => {
    const found = await get("/conversations", { ...query, cursor });
    put(found.items);
    return { ids: found.items.map((one) => one.id), next: found.next_cursor };
  };
  const first = reading(() => page());
  const later = signal([]);
  const next = signal(undefined);
  const ids = () => [...(first.now.value?.ids ?? []), ...later.value].filter((id) => id !== but);
  const cursor = () => (next.value === undefined ? first.now.value?.next : next.value);
  const more = async () => {
    const found = await attempt(page(cursor()));
    if (!found) return;
    later.update((all) => [...all, ...found.ids.filter((id) => !all.includes(id))]);
    next.value = found.next;
  };
  return shown(first, () => [
    h("ul", { class: "history" }, each(ids, (id) => id, (id$) => entry(conversation(id$.peek())))),
    () => !ids().length && h("p", { class: "soft" }, but ? t("beside.no_other") : t("beside.none_yet")),
    () => cursor() && (rest ? h("a", { href: rest }, t("beside.all_conversations")) : button({ text: t("beside.more"), run: more })),
  ]);
}

const entry = (one) => h("li", {}, () => one.value && entryLink(one.value));

/** One conversation as a link: what about, how it stands, when. */
export const entryLink = ({ id, number, subject, preview, status, channel, last_activity_at: at }, kind) =>
  h(
    "a",
    { class: "history-entry", href: `/conversations/${id}` },
    h("span", { class: "cut" }, subject || preview || t("beside.no_subject")),
    h("span", { class: "row soft" }, h("span", { class: "cut grow" }, kind ?? say(channel, "channel"), ` · #${number}`), at && h("time-ago", { datetime: at, brief: true }), badge(say(status, "status"), KINDS[status])),
  );
