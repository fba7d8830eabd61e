// The first inbox: a chat, which needs nothing, or a mailbox, which is tried before it is kept.

import { post } from "../../kernel/api.js";
import { h } from "../../kernel/dom.js";
import { checkField, form, textField } from "../../kernel/form.js";
import { icon } from "../../kernel/icons.js";
import { t } from "../../kernel/i18n.js";
import { button } from "../../kernel/parts.js";
import { signal, untracked } from "../../kernel/signals.js";
import { directory } from "../../kernel/store.js";
import { trial } from "../../settings/inboxes/check.js";
import { settingsFields, understand } from "../../settings/inboxes/fields.js";

const MAIL = ["address", "imap_url", "imap_user", "imap_password", "smtp_url", "smtp_user", "smtp_password"];
// Where the mailboxes of large providers are: what most people would have to look up.
const KNOWN = {
  "gmail.com": ["imaps://imap.gmail.com", "smtps://smtp.gmail.com"],
  "outlook.com": ["imaps://outlook.office365.com", "smtp+starttls://smtp-mail.outlook.com"],
  "icloud.com": ["imaps://imap.mail.me.com", "smtp+starttls://smtp.mail.me.com"],
  "yahoo.com": ["imaps://imap.mail.yahoo.com", "smtps://smtp.mail.yahoo.com"],
  "qq.com": ["imaps://imap.qq.com", "smtps://smtp.qq.com"],
  "163.com": ["imaps://imap.163.com", "smtps://smtp.163.com"],
};

/** `done(inbox)` is called with the one that was made. */
export function inboxStep(done) {
  const kind = signal("chat");
  const channels = directory("channels").list;
  const tab = (name, drawing, text, about) =>
    h("button", { type: "button", class: "card wizard-kind", "aria-pressed": () => String(kind.value === name), on: { click: () => (kind.value = name) } }, icon(drawing, { size: 24 }), h("span", {}, h("strong", {}, text), h("span", { class: "hint" }, about)));
  return [
    h("h1", { tabindex: "-1", data: { focus: true } }, t("wizard.inbox")),
    h("p", {}, t("wizard.inbox_text")),
    h("div", { class: "wizard-kinds", role: "group", "aria-label": t("wizard.inbox") }, tab("chat", "chat", t("wizard.chat"), t("wizard.chat_about")), tab("email", "mail", t("wizard.mail"), t("wizard.mail_about"))),
    () => {
      const channel = channels.value.find((one) => one.name === kind.value);
      return channel ? untracked(() => (channel.name === "chat" ? chat(done) : mail(channel, done))) : h("div", { class: "spinner" });
    },
    h("p", { class: "row wizard-then" }, h("a", { href: "/settings/inboxes/new" }, t("wizard.other_channel")), h("a", { href: "/inbox" }, t("wizard.skip"))),
  ];
}

const nameField = (value) => textField({ name: "name", label: t("wizard.inbox_name"), value, required: true, autocomplete: "off" });

function chat(done) {
  const send = async ({ name }) => done(await post("/inboxes", { channel: "chat", name, settings: {} }));
  return form({ send, children: nameField(t("wizard.chat_name")), buttons: button({ text: t("wizard.make"), kind: "primary", type: "submit" }) });
}

function mail(channel, done) {
  const settings = settingsFields({ channel: "email", schema: channel.config_schema, values: { receive: "imap" }, only: MAIL, always: { receive: "imap" } });
  const alike = signal(true);
  const same = checkField({ label: t("wizard.alike"), value: alike });
  const own = [settings.field("smtp_user"), settings.field("smtp_password")];
  const look = () => own.forEach((one) => (one.hidden = alike.peek() || one.hidden));
  const given = () => {
    const found = { ...settings.read(), receive: "imap" };
    if (!alike.peek() || !found.smtp_url) return found;
    return { ...found, smtp_user: found.imap_user, smtp_password: found.imap_password };
  };
  const tried = trial(() => post("/inboxes/check", { channel: "email", settings: given() }));
  const bad = signal(false);
  const name = nameField(t("wizard.mail_name"));
  const make = async () => done(await post("/inboxes", { channel: "email", name: name.input.value, settings: given() }));
  const send = async (_, element) => {
    try {
      const force = element.dataset.force === "yes";
      delete element.dataset.force;
      if (!force && !(await tried.run()).ok) return void (bad.value = true);
      await make();
    } catch (error) {
      throw understand(error);
    }
  };
  const element = form({
    send,
    children: [name, settings.nodes, same, h("p", { class: "hint" }, t("wizard.app_password")), tried.node],
    buttons: [
      button({ text: t("wizard.check"), kind: "primary", type: "submit" }),
      () => bad.value && button({ text: t("wizard.force"), run: () => ((element.dataset.force = "yes"), element.requestSubmit()) }),
    ],
  });
  same.input.addEventListener("change", () => (settings.look(), look()));
  for (const type of ["input", "change"]) element.addEventListener(type, look);
  settings.field("address").input.addEventListener("change", () => suggest(settings));
  look();
  return element;
}

/** What follows from the address, where nothing was typed yet. */
function suggest(settings) {
  const address = settings.field("address").input.value.trim();
  const user = settings.field("imap_user").input;
  if (address.includes("@") && !user.value) user.value = address;
  const servers = KNOWN[address.split("@")[1]?.toLowerCase()];
  if (!servers || settings.field("imap_url").read() || settings.field("smtp_url").read()) return;
  settings.field("imap_url").fill(servers[0]);
  settings.field("smtp_url").fill(servers[1]);
  settings.look();
}
