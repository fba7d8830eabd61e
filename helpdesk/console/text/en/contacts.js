export default {
  "contacts.title": "Contacts",
  "contacts.find": "Find a contact",
  "contacts.none": "Nobody found",
  "contacts.unnamed": "No name",
  "contacts.conversations": "Conversations",
  "contact.blocked": "Blocked",
};
