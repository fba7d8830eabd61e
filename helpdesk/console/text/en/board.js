export default {
  "board.title": "Live board",
  "board.open": "Open",
  "board.unassigned": "Unassigned",
  "board.due_soon": "Due soon",
  "board.breached": "Overdue",
};
