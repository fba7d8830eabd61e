// What can be done from everywhere: going to the areas, the palette, the overview of shortcuts.

import { command, commands } from "../kernel/commands.js";
import { dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { t } from "../kernel/i18n.js";
import { checkField } from "../kernel/form.js";
import { keys } from "../kernel/parts.js";
import { go, loadArea } from "../kernel/router.js";
import { may, me, preferences, setPreference } from "../kernel/session.js";

const signedIn = () => Boolean(me.peek());

export function generalCommands() {
  const to = (id, shortcut, text, address, when = signedIn) =>
    command({ id: `go-${id}`, keys: shortcut, text, group: t("shell.go_to"), icon: "next", when, run: () => go(address) });
  to("inbox", "g i", t("shell.inbox"), "/inbox");
  to("search", "/", t("shell.search"), "/search");
  to("contacts", "g c", t("shell.contacts"), "/contacts");
  to("board", "g b", t("shell.board"), "/board", () => may("supervisor"));
  to("alerts", "g a", t("shell.alerts"), "/alerts");
  to("reports", "g r", t("shell.reports"), "/reports");
  to("settings", "g s", t("shell.settings"), "/settings");
  command({ id: "palette", keys: "Mod-k", text: t("shell.palette"), group: t("shell.general"), when: signedIn, run: async () => (await loadArea("palette")).openPalette() });
  command({ id: "shortcuts", keys: "?", text: t("shell.shortcuts"), group: t("shell.general"), when: signedIn, run: showShortcuts });
}

/** The overview of what the keys do just now, and the switch for keys that stand alone. */
function showShortcuts() {
  const known = commands.peek().filter((one) => one.keys && one.when());
  const groups = Map.groupBy(known, (one) => one.group);
  const row = (one) => h("div", { class: "row spread" }, h("dt", {}, one.text), h("dd", {}, keys([one.keys].flat()[0])));
  const alone = checkField({ label: t("shell.single_keys"), hint: t("shell.single_keys_hint"), value: preferences.peek().shortcuts });
  alone.input.addEventListener("change", () => setPreference("shortcuts", alone.input.checked));
  return dialog({
    title: t("shell.shortcuts"),
    kind: "wide",
    body: () => [h("div", { class: "columns" }, [...groups].map(([group, all]) => h("section", {}, h("h3", {}, group), h("dl", {}, all.map(row))))), alone],
  });
}
