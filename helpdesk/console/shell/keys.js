// The overview of what the keys do just now, and the switch for keys that stand alone.

import { commands } from "../kernel/commands.js";
import { dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { checkField } from "../kernel/form.js";
import { t } from "../kernel/i18n.js";
import { keys } from "../kernel/parts.js";
import { prefer, preferences } from "../kernel/session.js";
import { attempt } from "../kernel/toast.js";

export function showShortcuts() {
  const known = commands.peek().filter((one) => one.keys && one.when());
  const groups = Map.groupBy(known, (one) => one.group);
  const row = (one) => h("div", { class: "row spread" }, h("dt", {}, one.text), h("dd", {}, keys([one.keys].flat()[0])));
  const alone = checkField({ label: t("shell.single_keys"), hint: t("shell.single_keys_hint"), value: preferences.peek().shortcuts });
  alone.input.addEventListener("change", () => attempt(prefer("shortcuts", alone.input.checked)));
  return dialog({
    title: t("shell.shortcuts"),
    kind: "wide",
    body: () => [h("div", { class: "columns" }, [...groups].map(([group, all]) => h("section", {}, h("h3", {}, group), h("dl", {}, all.map(row))))), alone],
  });
}
