export default {
  "account.title": "我的帳戶",
  "account.language": "語言",
  "account.theme": "外觀",
  "account.system": "跟隨系統",
  "account.light": "淺色",
  "account.dark": "深色",
  "account.dense": "緊湊清單",
  "account.sessions": "登入紀錄",
  "account.current": "目前登入",
  "account.end": "登出此裝置",
  "account.ended": "已登出該裝置。",
};
