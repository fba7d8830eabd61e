export default {
  "search.title": "Search",
  "search.hint": "Words, a number, an address, a transaction hash",
  "search.none": "Nothing found",
  "search.none_hint": "Try fewer words, or another form of them.",
};
