export default {
  "contacts.title": "客户",
  "contacts.find": "姓名，或完整地址",
  "contacts.found": { other: "显示 {n} 位客户" },
  "contacts.none": "没有找到客户",
  "contacts.none_hint": "请输入姓名的开头部分，或完整的地址。",
  "contacts.none_yet": "联系过您的客户会显示在这里。",
  "contacts.unnamed": "未命名",
  "contacts.blocked": "已屏蔽",
  "contacts.more": "显示更多",
  "contacts.one": "客户资料",
  "contacts.choose": "未选择客户",
  "contacts.choose_hint": "请从列表中选择，或按姓名、地址搜索。",
};
