// Beside the conversation: with whom it is, what was promised, what is known of it, and what else there was.

import { del, get, patch, post } from "../kernel/api.js";
import { combobox } from "../kernel/combobox.js";
import { h, when } from "../kernel/dom.js";
import { compare, dateTime } from "../kernel/format.js";
import { language, say, t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { avatar, button, chip } from "../kernel/parts.js";
import { popover } from "../kernel/popover.js";
import { computed, effect, onCleanup, signal, untracked } from "../kernel/signals.js";
import { detail, directory, put, refresh } from "../kernel/store.js";
import { attempt } from "../kernel/toast.js";
import { change } from "../conversation/changes.js";
import { pickTags } from "../conversation/pick.js";
import { choice, customFields } from "./fields.js";
import { entryLink, history } from "./history.js";
import { contactOf, identities, personFields, profileOf, trustBadges } from "./person.js";
import { promises } from "./promises.js";
import { reading, shown } from "./reading.js";

export { contactPage } from "./contact.js";

const HERE = 6; // conversations that are named in the pane; his own page has all

/** The pane of a conversation. It reads nothing as long as the window has no place for it, unless `always`. */
export function view(id, { always = false } = {}) {
  const room = matchMedia("(min-width: 1241px)");
  const place = signal(always || room.matches);
  const turned = () => (place.value = always || room.matches);
  room.addEventListener("change", turned);
  onCleanup(() => room.removeEventListener("change", turned));
  return h("aside", { class: "pane beside", "aria-label": t("beside.title") }, when(() => place.value, () => pane(id)));
}

function pane(id) {
  const one = detail(id);
  const contactId = computed(() => one.value?.contact.id);
  // Followed one by one: a new message does not draw the pane anew, and what is being typed stays.
  return h("div", { class: "beside-body", tabindex: "0", role: "group", "aria-label": t("beside.title") }, () => contactId.value && untracked(() => whole(id, one, contactId.peek())));
}

const section = (title, ...content) => h("section", { class: "beside-part" }, h("h3", {}, title), content);
/** A part that is there only where it says something. */
const partIf = (has, title, ...content) => when(has, () => section(title, ...content));

function whole(id, one, contactId) {
  const contact = contactOf(contactId);
  const others = () => (one.value?.participants ?? []).filter((other) => other.contact_id !== contactId);
  return [
    head(one, contact),
    warnings(id, one),
    section(t("beside.promises"), promises(id)),
    section(t("beside.about"), about(id, one)),
    section(t("beside.contact"), shown(contact, () => [identities(contact), personFields(contact)])),
    partIf(() => one.value?.profile, t("beside.profile"), () => one.value?.profile && profileOf(one.value.profile)),
    partIf(() => others().length, t("beside.participants"), () => others().map(participant)),
    section(t("beside.watchers"), watchers(id, one)),
    partIf(() => one.value?.rating, t("beside.rating"), () => one.value?.rating && rating(one.value.rating)),
    partIf(() => one.value?.related.length, t("beside.related"), h("ul", { class: "history" }, () => one.value?.related.map((other) => h("li", {}, entryLink(other, say(other.kind, "beside.kin")))))),
    section(t("beside.history"), history(contactId, { limit: HERE, but: id, rest: `/contacts/${contactId}` })),
  ];
}

function head(one, contact) {
  const of = () => one.value?.contact ?? one.peek()?.contact ?? { name: "", handle: "" };
  const name = () => of().name || of().handle;
  return h(
    "header",
    { class: "beside-head row" },
    () => avatar({ id: of().id, name: name(), size: 40 }),
    h("div", { class: "grow" }, h("h2", {}, h("a", { class: "break", href: () => `/contacts/${of().id}` }, h("bdi", {}, name))), h("p", { class: "soft cut" }, () => (of().name ? of().handle : say(of().channel, "channel"))), trustBadges(contact)),
  );
}

/** What is odd here, and what can be done about it. */
function warnings(id, one) {
  const free = () => attempt(del(`/conversations/${id}/quarantine`, { version: one.peek().version }).then(put), { done: t("beside.released") }).then((done) => done === undefined && refresh(id));
  const said = (text, action) => h("div", { class: "beside-warning" }, icon("alert", { size: 16 }), h("p", { class: "grow" }, text), action);
  return h(
    "div",
    { class: "beside-warnings" },
    () => one.value?.profile?.resembles_ours && said(t("beside.impersonator", { handle: one.value.profile.handle || one.value.profile.name })),
    () => one.value?.quarantined && said(t("beside.quarantined"), button({ text: t("beside.release"), run: free })),
    () => one.value?.spam && said(t("beside.spam")),
  );
}

function about(id, one) {
  const target = {
    now: () => one.peek(),
    again: () => refresh(id),
    write: async (body, version) => put(await patch(`/conversations/${id}`, body, { version })),
  };
  return h("div", { class: "facts-list" }, category(one, target), suggestion(id, one), tags(id, one), customFields("conversation", one, target));
}

const titleOf = (categories, key) => {
  const found = categories.byId(key);
  return found?.names[language] ?? found?.names.en ?? key;
};

function category(one, target) {
  const known = directory("categories");
  const part = { label: t("beside.category"), of: (found) => found.category, body: (value) => ({ category: value }), words: (value) => (value ? titleOf(known, value) : t("beside.nothing")) };
  const options = () => {
    const all = known.list.value.filter((found) => !found.archived || found.key === one.peek()?.category);
    return all.map(({ key }) => ({ id: key, value: key, text: titleOf(known, key) })).sort((a, b) => compare(a.text, b.text));
  };
  return () => choice(part, options(), () => one.value?.category ?? null, target);
}

/** What was read out of the words of a message, and by which of them. Choosing another category corrects it. */
function suggestion(id, one) {
  const found = reading(() => get(`/conversations/${id}/triage`));
  const known = directory("categories");
  const marks = computed(() => `${one.value?.category} ${one.value?.priority}`);
  let seen = marks.peek();
  effect(() => {
    if (marks.value !== seen) found.again();
    seen = marks.value;
  });
  const words = ({ reasons, category: key }) => [...new Set(reasons.filter((reason) => reason.category === key).flatMap((reason) => reason.words))].slice(0, 8).map((word) => word.replace("*", "")).join(", ");
  const use = (said) => change(id, { category: said.category });
  const open = ({ category: own, suggestion: said }) => said.category && !said.applied && !said.corrected_at && said.category !== own;
  return () => {
    const said = found.now.value?.suggestion;
    if (!said?.category) return null;
    // Who chose another one has corrected it; that this was kept comes a moment later.
    const corrected = said.corrected_at || (said.applied && one.value?.category !== said.category);
    const text = t(corrected ? "beside.was_suggested" : "beside.suggested", { category: titleOf(known, said.category), words: words(said) });
    return h("div", { class: "fact-note soft" }, h("p", {}, text), open(found.now.value) && button({ text: t("beside.use"), kind: "quiet tiny", run: () => use(said) }));
  };
}

function tags(id, one) {
  const edit = (event) => void pickTags(event.currentTarget, one.peek().tags, (next) => change(id, { tags: next }));
  return h("div", { class: "fact", role: "group", "aria-label": t("beside.tags") }, h("span", { class: "fact-name" }, t("beside.tags")), h("div", { class: "row wrap fact-value" }, () => one.value?.tags.map((tag) => h("a", { class: "chip", href: `/inbox/all?tag=${encodeURIComponent(tag)}` }, h("bdi", { class: "cut" }, tag))), button({ icon: "edit", label: t("beside.tags_edit"), kind: "quiet tiny", "aria-haspopup": "true", run: edit })));
}

const participant = ({ name, handle, contact_id: contactId }) => h("p", { class: "break" }, contactId ? h("a", { href: `/contacts/${contactId}` }, name || handle) : name || handle, name && h("span", { class: "soft" }, ` ${handle}`));

function watchers(id, one) {
  const path = `/conversations/${id}/watchers`;
  const drop = (agent) => attempt(del(path, { version: one.peek().version, query: { agent_id: agent.id } }).then(put)).then((done) => done === undefined && refresh(id));
  const add = (agent) => attempt(post(path, { agent_id: agent.id }).then(put));
  return h("div", { class: "row wrap" }, () => one.value?.watchers.map((agent) => chip({ text: agent.name, remove: () => drop(agent) })), button({ icon: "plus", label: t("beside.watchers_add"), kind: "quiet tiny", "aria-haspopup": "true", run: (event) => pickAgent(event.currentTarget, () => one.peek().watchers, add) }));
}

function pickAgent(beside, taken, choose) {
  const agents = directory("agents");
  const find = async (text) => {
    await agents.ready;
    const free = agents.list.peek().filter((one) => one.active !== false && one.kind !== "bot" && !taken().some((other) => other.id === one.id));
    return free.map(({ id, name }) => ({ id, text: name })).filter((one) => one.text.toLowerCase().includes(text.trim().toLowerCase())).slice(0, 50);
  };
  const { element } = popover(beside, (close) => h("div", { class: "beside-pick" }, combobox({ label: t("beside.watchers_add"), placeholder: t("beside.watchers_add"), find, open: true, choose: (agent) => (close(), choose(agent)) })));
  element.querySelector("input").focus();
}

const MOST_POINTS = 5;
function rating({ asked_at: asked, rated_at: rated, score, comment }) {
  if (!rated) return h("p", { class: "soft" }, t("beside.rating_asked", { time: dateTime(asked) }));
  return h("div", {}, h("p", { class: "row" }, h("span", { class: "points", "aria-hidden": "true" }, Array.from({ length: MOST_POINTS }, (_, at) => h("span", { class: at < score && "on" }, icon("star", { size: 16 })))), h("span", {}, t("beside.points", { score, most: MOST_POINTS }))), comment && h("blockquote", { class: "break" }, comment), h("p", { class: "soft" }, dateTime(rated)));
}
