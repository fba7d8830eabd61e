export default {
  "settings.title": "设置",
  "settings.group.self": "个人",
  "settings.group.people": "人员",
  "settings.account": "我的账户",
  "settings.teams": "团队",
};
