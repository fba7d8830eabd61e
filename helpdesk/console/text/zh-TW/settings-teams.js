export default {
  "teams.title": "團隊",
  "teams.none": "還沒有團隊",
};
