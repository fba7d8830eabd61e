export default {
  "reports.title": "報表",
  "reports.volume": "最近四週每日收到的訊息",
  "reports.csv": "下載 CSV",
};
