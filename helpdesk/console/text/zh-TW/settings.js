export default {
  "settings.title": "設定",
  "settings.group.self": "個人",
  "settings.group.people": "人員",
  "settings.account": "我的帳戶",
  "settings.teams": "團隊",
};
