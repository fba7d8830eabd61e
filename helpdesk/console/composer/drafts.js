// The drafts that the server keeps for us: read once in all, followed from window to window.

import { del, every, put } from "../kernel/api.js";

const MOST = 500;
const known = new Map();
const following = new Set();
let asked = null;
let askedAt = 0;
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("helpdesk.drafts") : null;

/** All of them, asked for once: a question for each conversation would mostly be answered by nothing. */
export function readDrafts() {
  asked ??= every("/drafts", {}, MOST).then((found) => {
    askedAt = Date.now();
    known.clear();
    for (const draft of found) known.set(draft.conversation_id, draft);
  });
  asked.catch(() => (asked = null));
  return asked;
}

/** Read them again, unless that was done less than `ms` ago. */
export function readAgain(ms) {
  if (asked && Date.now() - askedAt > ms) asked = null;
  return readDrafts();
}

export const draftOf = (id) => known.get(id);

/** Hear of drafts that another window has changed. */
export function followDrafts(act) {
  following.add(act);
}

/** A draft as it is now, null where there is none any more; the other windows are told. */
export function learn(id, draft, { quiet = false } = {}) {
  if (draft) known.set(id, draft);
  else known.delete(id);
  if (!quiet) channel?.postMessage({ id, draft });
}

channel?.addEventListener("message", ({ data }) => {
  learn(data.id, data.draft, { quiet: true });
  for (const act of following) act(data.id);
});

/** Keep a content in place of the version that we know. Raises what the API answers: 412 with the `draft` that is there. */
export async function keep(id, content) {
  learn(id, await put(`/conversations/${id}/draft`, content, { version: known.get(id)?.version ?? null }));
}

/** Throw it away, if there is one. */
export async function discard(id) {
  const draft = known.get(id);
  if (!draft) return;
  await del(`/conversations/${id}/draft`, { version: draft.version });
  learn(id, null);
}

/** Somebody else sits here now. */
export function forgetDrafts() {
  asked = null;
  known.clear();
}
