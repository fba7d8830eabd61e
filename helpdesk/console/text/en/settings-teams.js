export default {
  "teams.title": "Teams",
  "teams.none": "No teams yet",
};
