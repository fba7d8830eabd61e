export default {
  "search.title": "搜索",
  "search.hint": "关键词、编号、邮箱或交易哈希",
  "search.none": "没有找到",
  "search.none_hint": "请减少关键词，或换一种说法。",
};
