export default {
  "contacts.title": "客户",
  "contacts.find": "查找客户",
  "contacts.none": "没有找到客户",
  "contacts.unnamed": "未命名",
  "contacts.conversations": "会话",
  "contact.blocked": "已屏蔽",
};
