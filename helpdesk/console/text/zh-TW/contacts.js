export default {
  "contacts.title": "客戶",
  "contacts.find": "姓名，或完整地址",
  "contacts.found": { other: "顯示 {n} 位客戶" },
  "contacts.none": "找不到客戶",
  "contacts.none_hint": "請輸入姓名的開頭部分，或完整的地址。",
  "contacts.none_yet": "聯絡過您的客戶會顯示在這裡。",
  "contacts.unnamed": "未命名",
  "contacts.blocked": "已封鎖",
  "contacts.more": "顯示更多",
  "contacts.one": "客戶資料",
  "contacts.choose": "尚未選擇客戶",
  "contacts.choose_hint": "請從清單中選擇，或依姓名、地址搜尋。",
};
