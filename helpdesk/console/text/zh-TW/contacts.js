export default {
  "contacts.title": "客戶",
  "contacts.find": "尋找客戶",
  "contacts.none": "找不到客戶",
  "contacts.unnamed": "未命名",
  "contacts.conversations": "對話",
  "contact.blocked": "已封鎖",
};
