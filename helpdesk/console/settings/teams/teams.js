// Teams.

import { h } from "../../kernel/dom.js";
import { t } from "../../kernel/i18n.js";
import { empty, pane } from "../../kernel/parts.js";
import { directory } from "../../kernel/store.js";

export function view() {
  const teams = directory("teams");
  return pane({ title: t("teams.title"), name: "teams" }, () => (teams.list.value.length ? h("ul", { class: "stack plain" }, teams.list.value.map((one) => h("li", { class: "card" }, one.name))) : empty({ title: t("teams.none"), icon: "people" })));
}
