// One part of something that several people change: written on top of what others changed elsewhere, asked where they changed
// the same.

import { explain, isAbort } from "../kernel/api.js";
import { ask } from "../kernel/dialog.js";
import { t } from "../kernel/i18n.js";
import { toast } from "../kernel/toast.js";

const TRIES = 3;
const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

/**
 * `target` has `now()` what is known, `again()` what it is by now, `write(body, version)`. `part` has `label`, `of(item)` its value,
 * `body(value)` what is sent, `words(value)` how it is told. `base` is the value that the reader began with. Answers whether it
 * was written; raises what the API refuses for the field itself (422).
 */
export async function keep(target, part, value, base) {
  for (let tries = 1, item = target.now(); ; tries += 1, item = await target.again()) {
    const theirs = part.of(item);
    if (same(theirs, value)) return true;
    if (!same(theirs, base)) {
      const text = t("beside.contested", { field: part.label, value: part.words(theirs) });
      if (!(await ask({ title: t("beside.contested_title"), text, confirm: t("beside.contested_keep") }))) return false;
      base = theirs;
    }
    try {
      await target.write(part.body(value), item.version);
      return true;
    } catch (error) {
      if (error.slug === "stale_version" && tries < TRIES) continue;
      if (error.status === 422) throw error;
      if (!isAbort(error)) toast(explain(error), { kind: "wrong" });
      return false;
    }
  }
}
