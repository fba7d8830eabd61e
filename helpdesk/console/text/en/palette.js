export default {
  "palette.title": "All commands",
  "palette.hint": "What do you want to do?",
};
