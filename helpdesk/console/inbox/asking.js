// What an address of the inbox asks the list for. Nothing is imported here: the page's first module asks by it too, before
// anything else is there.

export const PAGE = 50;
const LIVE = ["open", "pending", "snoozed"];
const own = (field, value) => JSON.stringify({ field, op: "eq", value });

/** The console's own views. */
export const VIEWS = {
  mine: { assignee_id: "me", status: ["open", "pending"] },
  unassigned: { assignee_id: "none", status: "open" },
  open: { status: ["open", "pending"] },
  due: { sla: ["due_soon", "breached"], sort: "next_due_at" },
  unread: { assignee_id: "me", status: LIVE, filter: own("unread", true) },
  mentions: { filter: own("mentioned", "me") },
  watched: { status: LIVE, filter: own("watched", "me") },
  drafts: { filter: own("drafted", "me") },
  snoozed: { status: "snoozed" },
  resolved: { status: ["resolved", "closed"] },
  spam: { spam: "true" },
  all: {},
};
export const FIRST = "open";

/** Parts of the query that filter. All but `q` may stand several times. */
export const FILTERS = ["status", "channel", "inbox_id", "assignee_id", "team_id", "priority", "category", "tag", "contact_id", "sla", "q"];
const GIVEN = [...FILTERS, "sort", "filter", "spam", "created_after", "created_before", "updated_after"];

/** What a view asks for by itself: one of our own, `team-ID`, `inbox-ID`, or the id of a saved one. */
export function queryOf(view = FIRST) {
  if (VIEWS[view]) return VIEWS[view];
  if (view.startsWith("inbox-")) return { inbox_id: view.slice(6), status: "open" };
  return view.startsWith("team-") ? { team_id: view.slice(5), status: "open" } : { view_id: view };
}

/** The query of the list at an address: the view's, with what the address says in its place. */
export function asked(view, query) {
  const given = GIVEN.filter((name) => query.has(name)).map((name) => [name, query.getAll(name)]);
  return { ...queryOf(view), ...Object.fromEntries(given), limit: PAGE };
}
