export default {
  "macros.title": "宏",
  "macros.hint": "将多个操作合并为一个。全部执行，或全不执行。",
  "macros.add": "新建宏",
  "macros.none": "还没有宏",
  "macros.none_text": "适合反复执行的操作：一步完成添加标签、回复和解决。",
  "macros.name": "名称",
  "macros.description": "用途说明",
  "macros.actions": "执行的操作",
};
