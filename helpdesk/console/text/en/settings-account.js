export default {
  "account.title": "Your account",
  "account.language": "Language",
  "account.theme": "Appearance",
  "account.system": "As the system",
  "account.light": "Light",
  "account.dark": "Dark",
  "account.dense": "Denser lists",
  "account.sessions": "Where you are signed in",
  "account.current": "This one",
  "account.end": "Sign out",
  "account.ended": "It is signed out.",
};
