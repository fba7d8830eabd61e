export default {
  "teams.title": "团队",
  "teams.none": "还没有团队",
};
