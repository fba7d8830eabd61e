export default {
  "search.title": "搜尋",
  "search.hint": "關鍵字、編號、電子郵件或交易雜湊",
  "search.none": "找不到結果",
  "search.none_hint": "請減少關鍵字，或換一種說法。",
};
