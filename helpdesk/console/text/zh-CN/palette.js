export default {
  "palette.title": "全部命令",
  "palette.hint": "想做什么？",
};
