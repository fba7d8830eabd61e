// Doing something to a conversation that somebody else may be changing at the same moment.

import { Problem } from "../kernel/api.js";
import { put, refresh } from "../kernel/store.js";
import { attempt } from "../kernel/toast.js";

/**
 * Do something that names the version which it was decided by. Where somebody has changed the conversation meanwhile it is
 * read again and done once more: what is done here takes nothing of that back.
 */
export async function withVersion(now, act) {
  try {
    return await act(now.version);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 412) throw error;
    return act((await refresh(now.id)).version);
  }
}

/** Do it, keep what the API answers, and say that it is done. */
export async function doing(now, act, done, undo) {
  const found = await attempt(withVersion(now, act), { done, undo });
  if (found?.id) put(found);
  if (found !== undefined) await refresh(now.id).catch(() => {});
  return found;
}

/** Where the focus goes in a dialog that is nothing but a choice. */
export function focused(box) {
  box.input.setAttribute("autofocus", "");
  return box;
}
