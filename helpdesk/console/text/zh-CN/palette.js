export default {
  "palette.title": "所有命令",
  "palette.hint": "想做什么，或者找谁？",
  "palette.contact": "客户",
};
