export default {
  "palette.title": "所有指令",
  "palette.hint": "想做什麼，或者找誰？",
  "palette.contact": "客戶",
};
