export default {
  "alerts.title": "告警",
  "alerts.about": "查看会话",
  "alerts.take": "由我处理",
  "alerts.taken": "已由您处理。",
  "alerts.none": "没有告警",
  "alerts.none_hint": "服务时限有风险时，会在此提示。",
  "alert.acknowledged": "已接手",
  "alert.resolved": "已解除",
};
