export default {
  "alerts.title": "Alerts",
  "alerts.about": "Show the conversation",
  "alerts.take": "I take it",
  "alerts.taken": "It is yours now.",
  "alerts.none": "No alerts",
  "alerts.none_hint": "When a promise is at risk, it is said here.",
  "alert.acknowledged": "Taken",
  "alert.resolved": "Over",
};
