export default {
  "macros.title": "Macros",
  "macros.hint": "Several actions under one name. All of them are done, or none.",
  "macros.add": "New macro",
  "macros.none": "No macros yet",
  "macros.none_text": "For what you do again and again: tag, answer and resolve in one go.",
  "macros.name": "Name",
  "macros.description": "What it is for",
  "macros.actions": "What it does",
};
