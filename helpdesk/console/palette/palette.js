// The command palette: whatever can be done just now, by its name.

import { commands } from "../kernel/commands.js";
import { combobox } from "../kernel/combobox.js";
import { dialog } from "../kernel/dialog.js";
import { h } from "../kernel/dom.js";
import { compare } from "../kernel/format.js";
import { t } from "../kernel/i18n.js";
import { icon } from "../kernel/icons.js";
import { keys } from "../kernel/parts.js";

const MOST = 12;

export async function openPalette() {
  if (document.querySelector("dialog.palette")) return;
  const known = commands.peek().filter((one) => one.when() && one.id !== "palette");
  const find = (text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = known.filter((one) => words.every((word) => `${one.group} ${one.text}`.toLowerCase().includes(word)));
    return fits.sort((a, b) => compare(a.text, b.text)).slice(0, MOST);
  };
  const render = (one) => [icon(one.icon ?? "next", { size: 16 }), h("span", { class: "grow" }, one.text), h("span", { class: "soft" }, one.group), one.keys && keys([one.keys].flat()[0])];
  const chosen = await dialog({ title: t("palette.title"), kind: "palette", body: (close) => combobox({ label: t("palette.title"), placeholder: t("palette.hint"), find, choose: close, open: true, render }) });
  chosen?.run();
}
