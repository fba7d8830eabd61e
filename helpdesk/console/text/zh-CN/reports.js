export default {
  "reports.title": "报表",
  "reports.volume": "最近四周每日收到的消息",
  "reports.csv": "下载 CSV",
};
