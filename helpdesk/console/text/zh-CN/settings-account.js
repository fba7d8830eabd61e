export default {
  "account.title": "我的账户",
  "account.language": "语言",
  "account.theme": "外观",
  "account.system": "跟随系统",
  "account.light": "浅色",
  "account.dark": "深色",
  "account.dense": "紧凑列表",
  "account.sessions": "登录记录",
  "account.current": "当前登录",
  "account.end": "退出此登录",
  "account.ended": "已退出该登录。",
};
