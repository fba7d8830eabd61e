export default {
  "tags.title": "标签",
  "tags.hint": "标记会话的词语，便于查找与统计。",
  "tags.add": "新建标签",
  "tags.none": "还没有标签",
  "tags.none_text": "客服在会话中使用即可创建，您也可以在这里新建。",
  "tags.name": "名称",
  "tags.name_hint": "改名会应用到所有带有此标签的会话。",
  "tags.remove": "它会从所有会话中移除，会话本身保留。",
};
