export default {
  "conversation.title": "会话",
  "conversation.messages": "消息记录",
  "conversation.back": "返回列表",
  "conversation.no_subject": "无主题",
  "conversation.others": "同时在看：{names}",
  "conversation.note": "备注",
};
