// What can be done from everywhere: going to the areas, the palette, the overview of shortcuts.

import { command } from "../kernel/commands.js";
import { t } from "../kernel/i18n.js";
import { go, loadArea } from "../kernel/router.js";
import { may, me } from "../kernel/session.js";

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
  command({ id: "shortcuts", keys: "?", text: t("shell.shortcuts"), group: t("shell.general"), when: signedIn, run: async () => (await import("./keys.js")).showShortcuts() });
}
