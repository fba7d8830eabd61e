export default {
  "conversation.title": "Conversation",
  "conversation.messages": "Messages",
  "conversation.back": "Back to the list",
  "conversation.no_subject": "No subject",
  "conversation.others": "Also here: {names}",
  "conversation.note": "Note",
};
