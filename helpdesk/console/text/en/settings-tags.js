export default {
  "tags.title": "Tags",
  "tags.hint": "Words on conversations, to find and count them by.",
  "tags.add": "New tag",
  "tags.none": "No tags yet",
  "tags.none_text": "Agents make tags by using them, or you make the first one here.",
  "tags.name": "Name",
  "tags.name_hint": "It is renamed on every conversation that carries it.",
  "tags.remove": "It is taken from every conversation that carries it. The conversations stay.",
};
