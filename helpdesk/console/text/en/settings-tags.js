export default {
  "tags.title": "Tags",
  "tags.hint": "Words on conversations, to find and count them.",
  "tags.add": "New tag",
  "tags.none": "No tags yet",
  "tags.none_text": "Agents make tags by using them, or you make the first one here.",
  "tags.name": "Name",
  "tags.name_hint": "Renaming it changes it on every conversation that has it.",
  "tags.remove": "It is removed from every conversation that has it. The conversations stay.",
};
