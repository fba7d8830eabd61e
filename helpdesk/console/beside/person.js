// Whom we talk to: names, addresses and what is known of him; shared by the pane and his own page.

import { del, get, patch, post } from "../kernel/api.js";
import { ask, dialog } from "../kernel/dialog.js";
import { each, h } from "../kernel/dom.js";
import { form, selectField, textField } from "../kernel/form.js";
import { date } from "../kernel/format.js";
import { language, LANGUAGES, say, t, tn } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { badge, button } from "../kernel/parts.js";
import { may } from "../kernel/session.js";
import { onCleanup, signal } from "../kernel/signals.js";
import { directory } from "../kernel/store.js";
import { on } from "../kernel/stream.js";
import { attempt, toast } from "../kernel/toast.js";
import { choice, customFields, line } from "./fields.js";
import { reading } from "./reading.js";

/** A contact as `reading`, with what `keep` needs to write to him. */
export function contactOf(id) {
  const found = reading(() => get(`/contacts/${id}`));
  const off = [on("contact.updated", ({ data }) => data.contact_id === id && found.again()), on("contact.merged", ({ data }) => data.contact_id === id && found.again())];
  onCleanup(() => off.forEach((end) => end()));
  const target = {
    now: () => found.now.peek(),
    again: async () => (found.now.value = await get(`/contacts/${id}`)),
    write: async (body, version) => (found.now.value = await patch(`/contacts/${id}`, body, { version })),
  };
  return { ...found, id, target };
}

const part = (name, label, words = (value) => value || t("beside.nothing")) => ({ label, of: (found) => found[name], body: (value) => ({ [name]: value ?? "" }), words });

/** The fields that can be changed: name, language, and those of the house. */
export function personFields({ now, target }) {
  const languages = () => {
    const known = new Set([...Object.keys(LANGUAGES), now.value?.language].filter(Boolean));
    return [...known].map((one) => ({ id: one, value: one, text: LANGUAGES[one] ?? languageName(one) }));
  };
  return h(
    "div",
    { class: "facts-list" },
    line(part("name", t("beside.name")), () => now.value?.name, target, { maxlength: 200 }),
    choice(part("language", t("beside.language"), languageName), languages(), () => now.value?.language || null, target),
    customFields("contact", now, target),
  );
}

function languageName(tag) {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(tag);
  } catch {
    return tag || t("beside.nothing"); // whoever wrote it may have written anything
  }
}

const MARKS = { email: "mail", chat: "chat" };

/** A browser of his: nobody could type it again. */
const isVisitor = ({ channel }) => directory("channels").byId(channel)?.capabilities.live;

/** By what he writes to us, and which of it is proved to be his. Supervisors say what else is his, or is not. */
export function identities(contact) {
  const { now } = contact;
  const mayEdit = () => may("supervisor") && now.value && !now.value.merged_into_id;
  const title = (one) => [say(one.channel, "channel"), ![one.handle, now.value?.name].includes(one.display) && one.display].filter(Boolean).join(" · ");
  return [
    h("ul", { class: "identities" }, each(() => now.value?.identities, (one) => one.id, (one$) =>
      h(
        "li",
        { class: "row" },
        icon(MARKS[one$.peek().channel] ?? "at", { size: 16 }),
        h("span", { class: "grow" }, h("bdi", { class: "break" }, () => one$.value.handle), h("span", { class: "soft" }, () => ` ${title(one$.value)}`)),
        () => one$.value.verified && badge(t("beside.verified"), "good"),
        () => mayEdit() && now.value.identities.length > 1 && !isVisitor(one$.value) && button({ icon: "close", label: t("beside.identity_remove", { handle: one$.value.handle }), kind: "quiet tiny", run: () => removeIdentity(contact, one$.peek()) }),
      ),
    )),
    () => mayEdit() && button({ text: t("beside.identity_add"), icon: "plus", kind: "quiet tiny", "aria-haspopup": "dialog", run: () => void addIdentity(contact) }),
  ];
}

/** What is done to the contact as he is now, and once more as he is by then where somebody changed him meanwhile. */
async function written({ now, target }, write) {
  try {
    now.value = await write(now.peek().version);
  } catch (error) {
    if (error.slug !== "stale_version") throw error;
    now.value = await write((await target.again()).version);
  }
  return now.peek();
}

async function addIdentity(contact) {
  const channels = directory("channels");
  await channels.ready;
  const options = channels.list.peek().filter((one) => !one.capabilities.live).map(({ name }) => ({ id: name, text: say(name, "channel") }));
  const taken = signal(null); // the contact that has it already
  await dialog({
    title: t("beside.identity_add"),
    body: (close) =>
      form({
        send: async (body) => {
          taken.value = null;
          try {
            await written(contact, (version) => post(`/contacts/${contact.id}/identities`, body, { version }));
          } catch (error) {
            if (error.slug !== "handle_taken") throw error;
            taken.value = error.body.contact_id;
            return;
          }
          close();
          toast(t("beside.identity_added"), { kind: "done" });
        },
        children: [
          h("p", { class: "soft" }, t("beside.identity_hint")),
          selectField({ label: t("beside.channel"), name: "channel", value: "email", options }),
          textField({ label: t("beside.identity"), name: "handle", autocomplete: "off", autofocus: true, required: true, maxlength: 320 }),
          h("div", { role: "alert" }, () => taken.value && h("p", { class: "beside-warning" }, h("span", {}, tn("beside.identity_taken", { link: h("a", { href: `/contacts/${taken.value}`, on: { click: () => close() } }, t("beside.the_other")) })))),
        ],
        buttons: [button({ text: t("shell.cancel"), run: () => close() }), button({ text: t("beside.identity_add_do"), kind: "primary", type: "submit" })],
      }),
  });
}

async function removeIdentity(contact, { id, handle, channel }) {
  if (!(await ask({ title: t("beside.identity_remove", { handle }), text: t("beside.identity_remove_text"), confirm: t("beside.identity_remove_do"), danger: true }))) return;
  const path = `/contacts/${contact.id}/identities`;
  const undo = () => attempt(written(contact, (version) => post(path, { channel, handle }, { version })));
  await attempt(written(contact, (version) => del(`${path}/${id}`, { version })), { done: t("beside.identity_removed"), undo });
}

/** What everybody should see before he believes what he reads. */
export const trustBadges = ({ now }) => h("span", { class: "row wrap" }, () => now.value?.blocked && badge(t("beside.blocked"), "bad"), () => now.value?.identities.some((one) => one.verified) && badge(t("beside.proved"), "good"));

/** Let him in no more, or again. */
export async function block({ now, target }, blocked) {
  const name = now.peek().name || now.peek().identities[0]?.handle;
  if (blocked && !(await ask({ title: t("beside.block_title", { name }), text: t("beside.block_text"), confirm: t("beside.block"), danger: true }))) return;
  const write = async () => {
    try {
      await target.write({ blocked }, now.peek().version);
    } catch (error) {
      if (error.slug !== "stale_version") throw error;
      await target.write({ blocked }, (await target.again()).version); // it was meant of him, not of what was changed beside
    }
  };
  await attempt(write(), { done: blocked ? t("beside.is_blocked") : t("beside.is_unblocked"), undo: () => block({ now, target }, !blocked) });
}

export const profileOf = ({ handle, name, url, followers, verified, created_at: since }) =>
  h("div", { class: "stack profile" }, h("p", {}, h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, name || handle), " ", h("span", { class: "soft" }, handle)), h("p", { class: "soft" }, [followers !== null && t("beside.followers", { n: followers, count: followers }), since && t("beside.since", { date: date(since) })].filter(Boolean).join(" · ")), verified && h("p", { class: "row" }, badge(t("beside.network_badge", { badge: verified }), "note")));
