// A contact's own page: who he is, all that there was with him, and what is done to him as a whole.

import { get, post } from "../kernel/api.js";
import { combobox } from "../kernel/combobox.js";
import { ask, dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { date } from "../kernel/format.js";
import { t, tn } from "../kernel/i18n.js";
import { avatar, button, empty, linkButton } from "../kernel/parts.js";
import { menu } from "../kernel/popover.js";
import { go, setTitle } from "../kernel/router.js";
import { may } from "../kernel/session.js";
import { computed, effect, untracked } from "../kernel/signals.js";
import { attempt } from "../kernel/toast.js";
import { history } from "./history.js";
import { block, contactOf, identities, personFields, trustBadges } from "./person.js";
import { shown } from "./reading.js";

const PAGE = 25;

export function contactPage(id) {
  const contact = contactOf(id);
  const name = () => contact.now.value?.name || contact.now.value?.identities[0]?.handle || t("beside.unnamed");
  effect(() => contact.now.value && setTitle(name()));
  const gone = computed(() => contact.now.value === null && contact.failed.value?.status === 404);
  return h("article", { class: "contact-page" }, () => (gone.value ? empty({ title: t("problem.not_found"), icon: "person", action: linkButton({ text: t("shell.contacts"), href: "/contacts" }) }) : untracked(() => shown(contact, () => whole(contact, name)))));
}

function whole(contact, name) {
  const { id, now } = contact;
  const part = (title, ...content) => h("section", { class: "beside-part" }, h("h2", {}, title), content);
  return [
    h("header", { class: "contact-head row" }, () => avatar({ id, name: name(), size: 48 }), h("div", { class: "grow" }, h("h1", { tabindex: "-1", class: "break", data: { focus: true } }, h("bdi", {}, name)), h("p", { class: "soft" }, () => t("beside.known_since", { date: date(now.value.created_at) })), trustBadges(contact)), button({ icon: "more", label: t("beside.contact_menu"), kind: "quiet", "aria-haspopup": "menu", run: (event) => void menu(event.currentTarget, entries(contact)) })),
    () => now.value.merged_into_id && h("p", { class: "beside-warning" }, h("span", {}, tn("beside.is_merged", { link: h("a", { href: `/contacts/${now.value.merged_into_id}` }, t("beside.the_other")) }))),
    h("div", { class: "contact-columns" }, part(t("beside.history"), history(id, { limit: PAGE })), h("div", {}, part(t("beside.addresses"), identities(contact)), part(t("beside.details"), personFields(contact)))),
  ];
}

function entries(contact) {
  const { now } = contact;
  const { blocked, merged_into_id: merged } = now.peek();
  return [
    { text: t("beside.find_all"), icon: "search", run: () => void go(`/inbox/all?contact_id=${contact.id}`) },
    { text: blocked ? t("beside.unblock") : t("beside.block"), icon: "shield", danger: !blocked, disabled: Boolean(merged), run: () => block(contact, !blocked) },
    may("supervisor") && (merged ? { text: t("beside.unmerge"), icon: "link", run: () => unmerge(contact) } : { text: t("beside.merge"), icon: "link", run: () => merge(contact) }),
  ].filter(Boolean);
}

async function merge({ id, now, target }) {
  const find = async (text) => {
    const { items } = await get("/contacts", { q: text.trim() || undefined, limit: 20 });
    const others = items.filter((one) => one.id !== id && !one.merged_into_id);
    return others.map((one) => ({ id: one.id, text: one.name || one.identities[0]?.handle || t("beside.unnamed"), hint: one.identities.map((other) => other.handle).join(", ") }));
  };
  const render = ({ text, hint }) => h("span", { class: "grow" }, text, h("span", { class: "soft" }, ` ${hint}`));
  const into = await dialog({
    title: t("beside.merge"),
    body: (close) => h("div", { class: "stack" }, h("p", { class: "soft" }, t("beside.merge_hint")), combobox({ label: t("beside.merge_which"), placeholder: t("beside.merge_which"), find, render, open: true, choose: close })),
  });
  if (!into) return;
  const text = t("beside.merge_sure", { one: now.peek().name || t("beside.unnamed"), other: into.text });
  if (!(await ask({ title: t("beside.merge"), text, confirm: t("beside.merge_do"), danger: true }))) return;
  const done = await attempt(post(`/contacts/${id}/merge`, { into: into.id }, { version: now.peek().version }), { done: t("beside.merged") });
  if (done === undefined) await target.again();
  else go(`/contacts/${into.id}`);
}

async function unmerge({ id, now, target }) {
  await attempt(post(`/contacts/${id}/unmerge`, undefined, { version: now.peek().version }), { done: t("beside.unmerged") });
  await target.again();
}
