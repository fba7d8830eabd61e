export default {
  "macros.title": "巨集",
  "macros.hint": "將多個操作合併為一個。全部執行，或全不執行。",
  "macros.add": "新增巨集",
  "macros.none": "還沒有巨集",
  "macros.none_text": "適合反覆執行的操作：一步完成加標籤、回覆與解決。",
  "macros.name": "名稱",
  "macros.description": "用途說明",
  "macros.actions": "執行的操作",
};
