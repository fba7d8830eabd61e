// Every address of the console, and the area that shows it. The server answers with the page at just these, so it reads
// this list too: one entry a line, in this form. `:name` stands for one part of the path.
export const ROUTES = [
  ["/", "inbox"],
  ["/inbox", "inbox"],
  ["/inbox/:view", "inbox"],
  ["/inbox/:view/:id", "inbox"],
  ["/conversations/:id", "inbox"],
  ["/search", "search"],
  ["/contacts", "contacts"],
  ["/contacts/:id", "contacts"],
  ["/board", "board"],
  ["/alerts", "alerts"],
  ["/reports", "reports"],
  ["/reports/:name", "reports"],
  ["/settings", "settings"],
  ["/settings/:page", "settings"],
  ["/settings/:page/:id", "settings"],
  ["/login", "session"],
  ["/invitation", "session"],
  ["/password-reset", "session"],
  ["/welcome", "session"],
];
