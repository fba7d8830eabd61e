export default {
  "composer.text": "您的消息",
  "composer.hint": "输入回复",
  "composer.note_hint": "输入备注，仅同事可见",
  "composer.note": "备注",
  "composer.send": "发送",
  "composer.send_and_resolve": "发送并标为已解决",
};
