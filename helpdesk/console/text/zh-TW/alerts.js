export default {
  "alerts.title": "警示",
  "alerts.about": "檢視對話",
  "alerts.take": "由我處理",
  "alerts.taken": "已由您處理。",
  "alerts.none": "沒有警示",
  "alerts.none_hint": "服務時限有風險時，會在此提示。",
  "alert.acknowledged": "已接手",
  "alert.resolved": "已解除",
};
