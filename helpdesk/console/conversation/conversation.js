// One conversation: its heading, and all that was said and done, over all channels.

import { explain, put as send } from "../kernel/api.js";
import { delegate, detached, each, h, on } from "../kernel/dom.js";
import { day } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { button, empty, skeleton } from "../kernel/parts.js";
import { attend } from "../kernel/presence.js";
import { go, here, loadArea, setTitle } from "../kernel/router.js";
import { me } from "../kernel/session.js";
import { computed, effect, flush, onCleanup, signal, untracked } from "../kernel/signals.js";
import { conversation, detail, directory, hold, onPrefetch, put, refresh } from "../kernel/store.js";
import { onResync, onTouched } from "../kernel/stream.js";
import { commands, heading } from "./head.js";
import { eventLines } from "./lines.js";
import { follow } from "./links.js";
import { messageNode, nameOf } from "./message.js";
import { keepPlace } from "./place.js";
import { rowsOf, timeline, warm } from "./timeline.js";

const LATE_MS = 150; // what comes sooner needs no picture of waiting
const SIGHT_MS = 600; // in sight for so long, it has been read
const AGAIN_MS = 150;
const BACK = 20; // pages that a jump to an old message goes back

onPrefetch(warm);

/** A conversation as long as it is shown. */
export function view(id) {
  const one = detail(id);
  onCleanup(hold(id));
  const line = timeline(id);
  const there = attend(id);
  const failed = signal(null);
  const read = async () => {
    failed.value = null;
    try {
      await Promise.all([refresh(id), line.refresh()]);
    } catch (error) {
      if (!one.peek() || !line.messages.peek() || error.status === 404) failed.value = error;
    }
  };
  read();
  effect(() => {
    if (one.value) setTitle(`#${one.value.number} ${one.value.subject}`);
  });
  const known = conversation(id);
  let was = false;
  effect(() => {
    // Taken out of sight while it was open: somebody gave it to a team that is not ours.
    if (was && !known.value) failed.value = { status: 404 };
    was = Boolean(known.value);
  });
  return h("section", { class: "pane conversation", "aria-label": t("conversation.title") }, () => (failed.value ? trouble(failed.value, read) : untracked(() => whole({ id, one, line, there }))));
}

function trouble(error, again) {
  if (error.status === 404) return empty({ title: t("conversation.gone"), text: t("conversation.gone_hint"), icon: "eye", action: button({ text: t("conversation.back"), run: () => void go("/inbox") }) });
  return empty({ title: explain(error), icon: "offline", action: button({ text: t("shell.again"), kind: "primary", run: again }) });
}

function whole({ id, one, line, there }) {
  const { messages } = line;
  const body = lineOf({ id, one, line, there });
  const composer = h("div", { class: "conversation-composer" });
  let ended = false;
  let shown = null;
  onCleanup(() => {
    ended = true;
    shown?.dispose();
  });
  const open = (module) => {
    if (ended || !me.peek()) return;
    shown = detached(() => module.composer({ id, one, messages, there }));
    composer.replaceChildren(shown.value);
  };
  const again = () => composer.replaceChildren(empty({ title: t("problem.offline"), icon: "offline", action: button({ text: t("shell.again"), run: load }) }));
  const load = () => loadArea("composer").then(open, again);
  load();
  const root = h("div", { class: "conversation-whole" }, heading({ id, one, there, messages }), body, composer);
  commands({ id, one, root });
  return root;
}

/** The scrolling part: rows, what is written just now, and the way to the end. */
function lineOf({ id, one, line, there }) {
  const { messages } = line;
  const before = new Map();
  const seen = line.seen;
  const rows = computed(() => (messages.value ? rowsOf({ messages: messages.value, events: line.events.value, since: line.more.value ? line.since() : "", seen, before }) : []));
  const presence = () => there.contact.value ?? one.value?.contact_presence ?? null;
  // Where some of it can be read by everybody, what cannot is marked as well.
  const inPublic = computed(() => Boolean(messages.value?.some((message) => message.visibility === "public" && !message.private)));
  const marked = signal(Number(here.peek().query.get("message")) || 0);
  const channels = directory("channels");
  const of = {
    id,
    marked,
    presence,
    channel: () => one.value?.channel,
    inPublic: () => inPublic.value,
    can: (word) => Boolean(channels.byId(one.peek()?.channel)?.capabilities[word]),
    again: (message) => line.again(message).catch(() => {}),
  };
  const late = signal(false);
  const timer = setTimeout(() => (late.value = true), LATE_MS);
  onCleanup(() => clearTimeout(timer));
  const contact = () => one.value?.contact.name || one.value?.contact.handle;
  const inner = h(
    "div",
    { class: "line-rows" },
    () => (messages.value ? null : late.value ? skeleton(4) : null),
    () => line.more.value && h("p", { class: "line-older" }, button({ text: t("conversation.older"), kind: "quiet tiny", run: () => older() })),
    () => one.value?.post && !isSaid(one.value.post, messages.value) && postCard(one.value.post),
    each(() => rows.value, (row) => row.key, (row$) => drawn(row$, of, contact)),
    () => presence()?.typing && h("p", { class: "typing soft" }, h("i", {}), t("conversation.contact_writes", { name: contact() })),
  );
  const scroller = h("div", { class: "line", tabindex: "0", role: "log", "aria-live": "off", "aria-label": t("conversation.messages") }, inner);
  const place = keepPlace(scroller, inner, () => older());
  const older = () => (line.more.peek() && messages.peek() ? line.older(place.around).catch(() => {}) : null);
  place.toEnd();
  delegate(scroller, "click", "a[data-outside]", asked);
  delegate(scroller, "auxclick", "a[data-outside]", asked);
  const fresh = newcomers({ messages, place });
  followEvents({ id, line });
  readOnSight({ id, one, messages, line, place });
  jumpTo({ marked, line, place, scroller });
  return h("div", { class: "line-frame" }, scroller, fresh);
}

const asked = (event, link) => {
  event.preventDefault();
  follow(link);
};

function drawn(row$, of, contact) {
  const { kind, at } = row$.peek();
  if (kind === "day") return h("h2", { class: "line-day" }, h("span", {}, day(at)));
  if (kind === "new") return h("p", { class: "line-new" }, h("span", {}, t("conversation.new_from_here")));
  return kind === "events" ? eventLines(row$, contact) : messageNode(row$, of);
}

/** A mention is a post itself: it stands among the messages, and not above them a second time. */
const isSaid = ({ text, own }, messages) => !own && Boolean(messages?.some((one) => one.visibility === "public" && one.type === "incoming" && one.text === text));

const postCard = ({ text, url, own }) =>
  h("aside", { class: "post card" }, h("h3", {}, own ? t("conversation.our_post") : t("conversation.their_post")), h("p", { class: "message-text" }, text), url && h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, t("conversation.open_post")));

/** What has come while the reader was further up: a button to it, and a word to those who do not see. */
function newcomers({ messages, place }) {
  const count = signal(0);
  const told = signal("");
  let last = 0;
  effect(() => {
    const all = messages.value;
    if (!all) return;
    const added = last ? all.filter((one) => one.seq > last && one.author.id !== me.peek()?.id) : [];
    if (last && all.at(-1)?.seq > last && !added.length) place.toEnd(); // our own: we want to see it
    last = all.at(-1)?.seq ?? 0;
    if (!added.length) return;
    told.value = t("conversation.came", { name: nameOf(added.at(-1).author), text: added.at(-1).new_text.slice(0, 200) });
    if (!place.atEnd.peek()) count.value += added.length;
  });
  effect(() => {
    if (place.atEnd.value) count.value = 0;
  });
  return h(
    "div",
    { class: "line-fresh" },
    h("span", { class: "hidden-text", role: "status" }, () => told.value),
    () => !place.atEnd.value && h("button", { type: "button", class: ["button", count.value && "primary"], "aria-label": count.value ? null : t("conversation.to_end"), on: { click: () => place.toEnd() } }, icon("down", { size: 16 }), count.value > 0 && h("span", {}, t("conversation.new_below", { n: count.value }))),
  );
}

/** Read what the stream names, once for all that it names in a moment. */
function followEvents({ id, line }) {
  let wanted = new Set();
  let timer = 0;
  const look = async () => {
    timer = 0;
    const all = wanted;
    wanted = new Set();
    try {
      if (all.has("all")) return await line.afresh();
      if (all.delete("newer")) await line.newer();
      await Promise.all([...all].map(line.again));
    } catch {
      // the next event, or coming back, looks again
    }
  };
  const want = (what) => {
    wanted.add(what);
    timer ||= setTimeout(look, AGAIN_MS);
  };
  const off = onTouched(({ ids, events }) => {
    if (!ids.has(id)) return;
    const mine = events.filter((event) => event.conversation_id === id);
    line.takeEvents(mine);
    for (const event of mine) {
      const changes = event.data?.changes ?? {};
      if (event.type === "message.received" || event.type === "message.created") want("newer");
      else if (event.type.startsWith("message.")) want(event.data.message_id);
      else if (changes.split || changes.merged || Array.isArray(changes.messages) || event.type === "conversation.merged") want("all");
      else if (changes.messages) Object.keys(changes.messages).forEach(want);
      else if (changes.delivery && event.data.message_id) want(event.data.message_id);
    }
  });
  const offResync = onResync(() => want("all"));
  onCleanup(() => {
    off();
    offResync();
    clearTimeout(timer);
  });
}

/** What has been at the end of the line, in a window that is looked at, for a moment, has been read. */
function readOnSight({ id, one, messages, line, place }) {
  const looking = signal(document.visibilityState === "visible");
  on(document, "visibilitychange", () => (looking.value = document.visibilityState === "visible"));
  const here$ = computed(() => Boolean(one.value));
  let told = 0;
  effect(() => {
    const last = messages.value?.at(-1)?.seq;
    if (!last || !here$.value || !looking.value || !place.atEnd.value) return;
    line.seen = last;
    // What was marked unread on purpose stays so until something new comes, or it is opened anew.
    if (!told && !one.peek().unread) told = last;
    if (told === last) return;
    const timer = setTimeout(async () => {
      told = last;
      const answer = await send(`/conversations/${id}/read`, { seq: last }).catch(() => null); // unread still: no reason to disturb
      if (answer && one.peek()) put({ ...one.peek(), unread: answer.unread });
    }, SIGHT_MS);
    return () => clearTimeout(timer);
  });
}

/** Go to the message that the address names, reading older pages until it is there. */
function jumpTo({ marked, line, place, scroller }) {
  effect(() => {
    marked.value = Number(here.value.query.get("message")) || 0;
  });
  let gone = 0;
  effect(() => {
    const seq = marked.value;
    if (!seq || !line.messages.value || gone === seq) return;
    gone = seq;
    untracked(async () => {
      for (let pages = 0; pages < BACK && line.more.peek() && line.messages.peek()[0].seq > seq; pages += 1) await line.older(place.around).catch(() => {});
      flush();
      const found = scroller.querySelector(`[data-seq="${seq}"]`);
      if (found && marked.peek() === seq) place.to(found);
    });
  });
}
