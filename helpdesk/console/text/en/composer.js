export default {
  "composer.text": "Your message",
  "composer.hint": "Write an answer",
  "composer.note_hint": "Write a note, for colleagues only",
  "composer.note": "Note",
  "composer.send": "Send",
  "composer.send_and_resolve": "Send and resolve",
};
