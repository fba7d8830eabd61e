export default {
  "palette.title": "All commands",
  "palette.hint": "What do you want to do, or whom do you look for?",
  "palette.contact": "Contact",
};
