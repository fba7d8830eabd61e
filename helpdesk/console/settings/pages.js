// The pages of the settings, one entry each: `path` below /settings (its text is `settings.PATH`), who may see it, and the area that shows it.
export const PAGES = [
  { path: "account", group: "self", role: "agent", area: "settings/account" },
  { path: "agents", group: "people", role: "supervisor", area: "settings/agents" },
  { path: "teams", group: "people", role: "agent", area: "settings/teams" },
  { path: "tags", group: "work", role: "agent", area: "settings/tags" },
  { path: "rules", group: "automation", role: "agent", area: "settings/rules" },
  { path: "inboxes", group: "channels", role: "admin", area: "settings/inboxes" },
  { path: "hours", group: "promises", role: "agent", area: "settings/hours" },
  { path: "policies", group: "promises", role: "agent", area: "settings/policies" },
  { path: "webhooks", group: "automation", role: "admin", area: "settings/webhooks" },
  { path: "tokens", group: "house", role: "agent", area: "settings/tokens" },
  { path: "canned", group: "work", role: "agent", area: "settings/canned" },
  { path: "macros", group: "work", role: "agent", area: "settings/macros" },
  { path: "views", group: "work", role: "agent", area: "settings/views" },
  { path: "categories", group: "work", role: "agent", area: "settings/categories" },
  { path: "fields", group: "work", role: "agent", area: "settings/fields" },
];
