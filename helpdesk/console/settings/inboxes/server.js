// The address of a mail server as people know it: how it is secured, its name, its port, and where it matters a
// mailbox.

import { h } from "../../kernel/dom.js";
import { say, t } from "../../kernel/i18n.js";
import { signal } from "../../kernel/signals.js";
import { SERVERS } from "./forms.js";

/** The parts of an address such as imaps://host:993/INBOX; null where it is none. */
export function partsOf(address) {
  const [, scheme, host, port, mailbox] =
    /^([a-z+]+):\/\/(\[[^\]]+\]|[^/:@]+)(?::(\d+))?(?:\/(.*))?$/.exec(address) ?? [];
  return host ? { scheme, host, port: port ?? "", mailbox: mailbox ?? "" } : null;
}

export const addressOf = ({ scheme, host, port, mailbox }) =>
  host ? `${scheme}://${host}${port && `:${port}`}${mailbox && `/${mailbox}`}` : "";

/** As a field of a form; `read()` answers the whole address, "" while no server is named. */
export function serverField({ name, id, label, hint, value }) {
  const ports = SERVERS[id];
  const known = partsOf(value) ?? { scheme: Object.keys(ports)[0], host: value, port: "", mailbox: "" };
  const wrong = signal("");
  const scheme = h(
    "select",
    { class: "input", "aria-label": t("inboxes.secured", { name: label }) },
    Object.keys(ports).map((one) => h("option", { value: one }, say(one.replace("+", "_"), "inboxes.secured_by"))),
  );
  scheme.value = known.scheme;
  const host = h("input", {
    class: "input",
    id: `server-${id}`,
    value: known.host,
    placeholder: id === "imap_url" ? "imap.example.com" : "smtp.example.com",
    autocomplete: "off",
    spellcheck: "false",
    inputmode: "url",
  });
  const port = h("input", {
    class: "input",
    type: "number",
    min: 1,
    max: 65_535,
    value: known.port,
    placeholder: ports[known.scheme],
    "aria-label": t("inboxes.port", { name: label }),
  });
  scheme.addEventListener("change", () => (port.placeholder = ports[scheme.value]));
  // Somebody pastes what his provider's manual says: a whole address goes into its parts.
  host.addEventListener("change", () => {
    const [, typed, number] = /^(.+?):(\d+)$/.exec(host.value.trim()) ?? [];
    const whole = partsOf(host.value.trim());
    if (whole && ports[whole.scheme]) [scheme.value, host.value, port.value] = [whole.scheme, whole.host, whole.port];
    else if (number) [host.value, port.value] = [typed, number];
  });
  const node = h(
    "div",
    { class: "field", data: { field: name } },
    h("label", { for: host.id }, label),
    hint && h("p", { class: "hint" }, hint),
    h("div", { class: "inboxes-server" }, host, port, scheme),
    h("p", { class: "error", role: "alert" }, () => wrong.value),
  );
  const read = () =>
    addressOf({ scheme: scheme.value, host: host.value.trim(), port: port.value, mailbox: known.mailbox });
  const fill = (address) =>
    ([scheme.value, host.value, port.value] = [partsOf(address).scheme, partsOf(address).host, partsOf(address).port]);
  return Object.assign(node, { input: host, read, fill, wrong: (text) => (wrong.value = text) });
}
