export default {
  "conversation.title": "對話",
  "conversation.messages": "訊息紀錄",
  "conversation.back": "返回清單",
  "conversation.no_subject": "無主旨",
  "conversation.others": "同時在看：{names}",
  "conversation.note": "備註",
};
