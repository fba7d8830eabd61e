export default {
  "reports.title": "Reports",
  "reports.volume": "Messages received by day, in the last four weeks",
  "reports.csv": "Download CSV",
};
