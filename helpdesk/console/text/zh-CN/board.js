export default {
  "board.title": "实时看板",
  "board.open": "待处理",
  "board.unassigned": "未指派",
  "board.due_soon": "即将超时",
  "board.breached": "已超时",
};
