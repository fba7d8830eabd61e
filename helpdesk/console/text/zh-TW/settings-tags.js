export default {
  "tags.title": "標籤",
  "tags.hint": "標記對話的詞語，便於尋找與統計。",
  "tags.add": "新增標籤",
  "tags.none": "還沒有標籤",
  "tags.none_text": "客服在對話中使用即可建立，您也可以在這裡新增。",
  "tags.name": "名稱",
  "tags.name_hint": "改名會套用到所有帶有此標籤的對話。",
  "tags.remove": "它會從所有對話中移除，對話本身保留。",
};
