// The order of a list, as the API sorts it: so a row that has changed is put where it belongs without asking for all.

const RANKS = { low: 0, normal: 1, high: 2, urgent: 3 };
// Times as text, without the Z: a whole second stands before its parts then.
const time = (name) => (one) => one[name]?.slice(0, -1) ?? null;
const SORTS = {
  "-last_activity_at": [time("last_activity_at"), -1],
  next_due_at: [time("next_due_at"), 1],
  created_at: [time("created_at"), 1],
  "-priority": [(one) => RANKS[one.priority], -1],
  waiting_since: [time("waiting_since"), 1],
};
export const SORT_NAMES = Object.keys(SORTS);

/** Compares two conversations: those without a value last, ties by id in the direction of the sort. */
export function orderOf(sort) {
  const [valueOf, way] = SORTS[sort] ?? SORTS[SORT_NAMES[0]];
  const simply = (a, b) => (a === b ? 0 : a < b ? -way : way);
  return (one, other) => {
    const [a, b] = [valueOf(one), valueOf(other)];
    if ((a === null) !== (b === null)) return a === null ? 1 : -1;
    return simply(a, b) || simply(one.id, other.id);
  };
}

/** Where an item belongs in a sorted list of ids. */
function placeIn(ids, item, order, itemOf) {
  let [from, to] = [0, ids.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (order(itemOf(ids[middle]), item) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

/**
 * The ids with these items where they belong. Items that are new and belong behind all that is known are left out unless
 * `whole`: they come with a later page.
 */
export function arranged(ids, items, order, itemOf, whole) {
  const moving = new Set(items.map((one) => one.id));
  const known = new Set(ids);
  const next = ids.filter((id) => !moving.has(id) && itemOf(id));
  for (const item of items) {
    const at = placeIn(next, item, order, itemOf);
    if (at < next.length || whole || known.has(item.id)) next.splice(at, 0, item.id);
  }
  return next;
}
