export default {
  "contacts.title": "Contacts",
  "contacts.find": "Name, or a whole address",
  "contacts.found": { one: "{n} contact shown", other: "{n} contacts shown" },
  "contacts.none": "Nobody found",
  "contacts.none_hint": "Search by the beginning of a name, or by a whole address.",
  "contacts.none_yet": "Everybody who writes to you appears here.",
  "contacts.unnamed": "No name",
  "contacts.blocked": "Blocked",
  "contacts.more": "Show more",
  "contacts.one": "Contact",
  "contacts.choose": "No contact is open",
  "contacts.choose_hint": "Choose one from the list, or search by name or address.",
};
