export default {
  "beside.title": "客户与详情",
  "beside.nothing": "无",
  "beside.channel": "渠道",
  "beside.assignee": "负责人",
  "beside.team": "团队",
  "beside.priority": "优先级",
  "beside.tags": "标签",
};
