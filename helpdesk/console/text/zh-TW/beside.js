export default {
  "beside.title": "客戶與詳情",
  "beside.nothing": "無",
  "beside.channel": "管道",
  "beside.assignee": "負責人",
  "beside.team": "團隊",
  "beside.priority": "優先順序",
  "beside.tags": "標籤",
};
