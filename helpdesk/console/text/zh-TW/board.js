export default {
  "board.title": "即時看板",
  "board.open": "待處理",
  "board.unassigned": "未指派",
  "board.due_soon": "即將逾時",
  "board.breached": "已逾時",
};
