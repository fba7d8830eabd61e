export default {
  "palette.title": "所有指令",
  "palette.hint": "想做什麼？",
};
