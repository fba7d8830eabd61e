// Beside the conversation: who it is with.

import { h } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { avatar } from "../kernel/parts.js";
import { detail } from "../kernel/store.js";

export function view(id) {
  const one = detail(id);
  const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value || t("beside.nothing"))];
  const shown = ({ contact, assignee, team, priority, channel, tags }) => [
    h("header", { class: "pane-head" }, avatar({ id: contact.id, name: contact.name || contact.handle, size: 40 }), h("div", {}, h("h2", {}, h("a", { href: `/contacts/${contact.id}` }, contact.name || contact.handle)), h("p", { class: "soft cut" }, contact.handle))),
    h("dl", { class: "facts" }, fact(t("beside.channel"), say(channel, "channel")), fact(t("beside.assignee"), assignee?.name), fact(t("beside.team"), team?.name), fact(t("beside.priority"), say(priority, "priority")), fact(t("beside.tags"), tags.join(", "))),
  ];
  return h("aside", { class: "pane beside", "aria-label": t("beside.title") }, () => one.value && shown(one.value));
}
