export default {
  "settings.title": "Settings",
  "settings.group.self": "Yourself",
  "settings.group.people": "People",
  "settings.account": "Your account",
  "settings.teams": "Teams",
};
