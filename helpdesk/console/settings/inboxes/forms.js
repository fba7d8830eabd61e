// Which settings of a channel stand together, and which only matter beside others. A channel or a setting that is not
// named here has its place all the same: what is needed first, the rest under "more".

export const FORMS = {
  email: [
    ["", ["address", "display_name"]],
    ["receiving", ["receive", "imap_url", "imap_user", "imap_password"]],
    ["sending", ["smtp_url", "smtp_user", "smtp_password"]],
    [
      "sign_on",
      [
        "auth",
        "oauth_provider",
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_token_url",
        "oauth_authorize_url",
        "oauth_device_url",
        "oauth_scope",
        "oauth_refresh_token",
      ],
    ],
    ["letters", ["signature", "reply_address"]],
  ],
  chat: [
    ["", ["origins", "default_language", "color"]],
    ["words", ["title", "greeting", "title_zh_cn", "greeting_zh_cn", "title_zh_tw", "greeting_zh_tw"]],
    ["asked", ["prechat"]],
    ["identity", ["identity_secret", "identity_public_key"]],
  ],
  telegram: [["", ["bot_token", "username", "receive", "webhook_secret"]]],
  facebook: [["", ["page_id", "page_token", "app_secret", "verify_token", "instagram_id"]]],
  instagram: [["", ["page_id", "page_token", "app_secret", "verify_token", "instagram_id"]]],
  x: [
    ["", ["username"]],
    ["oauth1", ["consumer_key", "consumer_secret", "access_token", "access_token_secret"]],
    ["oauth2", ["client_id", "client_secret", "oauth_redirect"]],
    ["reading", ["post_length", "monthly_reads", "poll_seconds", "webhook"]],
  ],
};

const byMail = (now) => now.receive === "imap";
const bySignOn = (now) => now.auth === "xoauth2";
const custom = (now) => bySignOn(now) && now.oauth_provider === "custom";

/** Whether a setting matters as the others are now. */
export const MATTERS = {
  email: {
    imap_url: byMail,
    imap_user: byMail,
    imap_password: (now) => byMail(now) && !bySignOn(now),
    mark_seen: byMail,
    sent_mailbox: byMail,
    poll_seconds: byMail,
    smtp_user: (now) => Boolean(now.smtp_url),
    smtp_password: (now) => Boolean(now.smtp_url) && !bySignOn(now),
    oauth_provider: bySignOn,
    oauth_client_id: bySignOn,
    oauth_client_secret: bySignOn,
    oauth_refresh_token: bySignOn,
    oauth_scope: bySignOn,
    oauth_token_url: custom,
    oauth_authorize_url: custom,
    oauth_device_url: custom,
  },
  telegram: { webhook_secret: (now) => now.receive !== "poll" },
};

/** Written in several lines. */
export const LONG = new Set(["signature", "greeting", "greeting_zh_cn", "greeting_zh_tw", "identity_public_key"]);
/** What a server's address begins with, by what is spoken there, each with its usual port. */
export const SERVERS = {
  imap_url: { imaps: 993, "imap+starttls": 143, imap: 143 },
  smtp_url: { smtps: 465, "smtp+starttls": 587, smtp: 25 },
};
/** Fetched or written by the connectors themselves. */
export const OWN = new Set(["oauth2_access_token"]);
/** What may be asked before a chat begins. */
export const ASKED = ["name", "email", "category", "account", "transaction_hash", "wallet_address"];

/** Groups of a schema's settings: `[name, keys]`, what no group names last. */
export function groupsOf(channel, schema) {
  const all = Object.keys(schema.properties ?? {}).filter((key) => !OWN.has(key));
  const needed = schema.required ?? [];
  const groups = (FORMS[channel] ?? [["", needed]]).map(([name, keys]) => [
    name,
    keys.filter((key) => all.includes(key)),
  ]);
  const placed = new Set(groups.flatMap(([, keys]) => keys));
  return [...groups, ["more", all.filter((key) => !placed.has(key))]].filter(([, keys]) => keys.length);
}
