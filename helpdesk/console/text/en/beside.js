export default {
  "beside.title": "Contact and details",
  "beside.nothing": "None",
  "beside.channel": "Channel",
  "beside.assignee": "Assigned to",
  "beside.team": "Team",
  "beside.priority": "Priority",
  "beside.tags": "Tags",
};
