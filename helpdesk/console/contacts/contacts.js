// Contacts: who writes to us, and by what.

import { get } from "../kernel/api.js";
import { h } from "../kernel/dom.js";
import { say, t } from "../kernel/i18n.js";
import { avatar, badge, empty, pane } from "../kernel/parts.js";
import { setQuery, setTitle } from "../kernel/router.js";
import { effect, signal } from "../kernel/signals.js";
import { attempt } from "../kernel/toast.js";

export function view(here) {
  setTitle(t("contacts.title"));
  const found = signal(null);
  effect(() => {
    const { area, params, query } = here.value;
    if (area !== "contacts") return;
    const answer = params.id ? get(`/contacts/${params.id}`).then((one) => [one]) : get("/contacts", { q: query.get("q"), limit: 100 }).then(({ items }) => items);
    attempt(answer.then((items) => (found.value = items)));
  });
  let timer = 0;
  const typed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => setQuery({ q: input.value }, { replace: true }), 250);
  };
  const input = h("input", { class: "input", type: "search", "aria-label": t("contacts.find"), placeholder: t("contacts.find"), value: here.peek().query.get("q") ?? "", on: { input: typed } });
  const card = (one) =>
    h("li", { class: "card row" }, avatar({ id: one.id, name: one.name, size: 36 }), h("div", { class: "grow" }, h("a", { href: `/contacts/${one.id}` }, one.name || t("contacts.unnamed")), h("p", { class: "soft" }, (one.identities ?? []).map((identity) => identity.handle).join(", "))), h("a", { href: `/inbox/all?contact_id=${one.id}` }, t("contacts.conversations")), one.blocked && badge(say("blocked", "contact"), "bad"));
  return pane({ title: t("contacts.title"), name: "contacts" }, () => !here.value.params.id && h("div", { class: "narrow" }, input), () => found.value?.length === 0 && empty({ title: t("contacts.none"), icon: "people" }), h("ul", { class: "stack plain" }, () => (found.value ?? []).map(card)));
}
