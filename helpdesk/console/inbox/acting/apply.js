// A change to one conversation or to many. One: at once on the screen, then by its version. Many: by a job that tells how
// far it is. Both can be taken back for as long as the words about it stand there.

import { get, patch, post, Problem, every, explain } from "../../kernel/api.js";
import { ask } from "../../kernel/dialog.js";
import { t, tn } from "../../kernel/i18n.js";
import { signal } from "../../kernel/signals.js";
import { conversation, put, refresh } from "../../kernel/store.js";
import { attempt, toast } from "../../kernel/toast.js";

const MOST = 500; // that one job takes
const LOOK_MS = 400;
const SOME = 100; // results that tell why something was refused
const UNDO_JOBS = 20; // different pasts, each a job of its own

/** What is known of those that are meant: nothing where `ids` is `{tree, count}`, all that a filter tree finds. */
export const itemsOf = (ids) => (ids.tree ? [] : ids).map((id) => conversation(id).peek()).filter(Boolean);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * `set` is the body, or `of(item)` where it differs; `actions` do the same in a job. `before(item)` is the body that takes
 * it back, `told(n)` what is said of it, `shown` what a row shows of it at once where `set` does not say. What is no part
 * of the body has `go(item)` and `undo(item)` for one, `job` and `back` for many.
 */
export async function apply(ids, change) {
  if (ids.tree) return whole(ids, change);
  const items = itemsOf(ids);
  if (items.length === 1) return one(items[0], change);
  if (items.length) await many(items, change);
}

async function one(item, change) {
  const body = change.of?.(item) ?? change.set;
  const back = change.before(item);
  put({ ...item, ...body, ...change.shown });
  const done = await attempt(change.go ? current(item, change.go) : patched(item, body, change));
  if (done === undefined) return put(item), void refresh(item.id).catch(() => {}); // unless it is another by now
  const undo = () => attempt(change.undo ? current(done, change.undo) : patched(done, back, {}));
  toast(change.told(1), { kind: "done", action: { text: t("shell.undo"), run: undo } });
}

/** By its version; where somebody was faster, once more by the new one, since this sets one thing and nothing by it. */
async function current(item, go) {
  try {
    return kept((await go(item)) ?? (await refresh(item.id)));
  } catch (error) {
    if (!(error instanceof Problem) || error.slug !== "stale_version") throw error;
    return kept((await go(await refresh(item.id))) ?? (await refresh(item.id)));
  }
}

const patched = (item, body, change) => current(item, (now) => patch(`/conversations/${now.id}`, change.of?.(now) ?? body, { version: now.version }));

const kept = (found) => (put(found), found);

async function many(items, change) {
  const before = new Map(items.map((item) => [item.id, JSON.stringify(change.before(item))]));
  const found = await attempt(jobs(items.map((item) => item.id), whatOf(change)));
  if (!found) return;
  const pasts = Map.groupBy(found.changed, (id) => before.get(id));
  const undo = async () => {
    for (const [body, ids] of pasts) if (!(await attempt(jobs(ids, change.back ?? { set: JSON.parse(body) })))) return;
  };
  const action = found.changed.length && pasts.size <= UNDO_JOBS ? { text: t("shell.undo"), run: undo } : undefined;
  if (found.changed.length || !found.refused.length) toast(change.told(found.changed.length), { kind: "done", action });
  if (found.refused.length) toast(tn("acting.refused", { n: found.refused.length, why: whyOf(found.refused) }), { kind: "wrong" });
}

/** All that a filter finds: asked first, since what they were is known to nobody, and only spam can be given back. */
async function whole({ tree, count }, change) {
  const sure = await ask({ title: t("acting.whole", { n: count }), text: t(change.back ? "acting.whole_back" : "acting.whole_sure"), confirm: t("acting.whole_do", { n: count }), danger: true });
  const found = sure && (await attempt(jobs({ tree, count }, whatOf(change), change.back ? count : SOME)));
  if (!found) return;
  const undo = change.back && (() => attempt(jobs(found.changed, change.back)));
  toast(change.told(found.count), { kind: "done", action: undo && { text: t("shell.undo"), run: undo } });
  if (found.refusals) toast(tn("acting.refused", { n: found.refusals, why: found.refused.length ? whyOf(found.refused) : "" }), { kind: "wrong" });
}

const whatOf = (change) => change.job ?? (change.actions ? { actions: change.actions } : { set: change.set });

const whyOf = (refused) => explain(new Problem(409, { type: `urn:helpdesk:problem:${refused[0].refused}`, detail: refused[0].detail ?? "" }));

/** Start, follow and end one job after the other; answers the ids that were changed, what was refused, and how many. Of each job at most `most` results are read. */
async function jobs(ids, what, most = MOST) {
  const [done, found] = [signal(0), { changed: [], refused: [], count: 0, refusals: 0 }];
  const n = ids.tree ? ids.count : ids.length;
  const close = toast(() => t("acting.progress", { done: done.value, n }), { seconds: 600 });
  try {
    for (let from = 0; from < n; from += ids.tree ? n : MOST) {
      const { job_id: job } = await post("/conversations/bulk", { ...(ids.tree ? { filter: ids.tree } : { ids: ids.slice(from, from + MOST) }), ...what });
      let state = await get(`/jobs/${job}`);
      while (state.state === "queued" || state.state === "running") {
        await pause(LOOK_MS);
        state = await get(`/jobs/${job}`);
        done.value = from + state.done;
      }
      found.count += state.changed;
      found.refusals += state.refused;
      for (const one of await every(`/jobs/${job}/results`, {}, most)) {
        if (one.outcome === "done") found.changed.push(one.subject_id);
        else if (one.outcome === "refused") found.refused.push(one);
      }
      // Somebody ended it: what was changed until then is told, and can be taken back.
      if (state.state === "failed" && state.error !== "cancelled") throw new Problem(500, { type: "urn:helpdesk:problem:internal", detail: state.error });
    }
  } finally {
    close();
  }
  return found;
}
