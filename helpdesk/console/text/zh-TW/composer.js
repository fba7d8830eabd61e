export default {
  "composer.text": "您的訊息",
  "composer.hint": "輸入回覆",
  "composer.note_hint": "輸入備註，僅同事可見",
  "composer.note": "備註",
  "composer.send": "傳送",
  "composer.send_and_resolve": "傳送並標為已解決",
};
