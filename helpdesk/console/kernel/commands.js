// All that can be done just now, in one list: shortcuts, their overview and the palette read it.

import { onCleanup, signal } from "./signals.js";

/** The commands of now, the newest last. */
export const commands = signal([]);

/**
 * Offer a command until what is being made ends. `text` is what people read, `keys` its shortcut ("g i", "Mod-k", "?"),
 * `group` the heading it stands under, `when` whether it can be done at this moment.
 */
export function command(given) {
  const made = { when: () => true, group: "", ...given };
  commands.update((all) => [...all.filter((one) => one.id !== made.id), made]);
  const end = () => commands.update((all) => all.filter((one) => one !== made));
  onCleanup(end);
  return end;
}

/** Do it by its id, if it can be done. */
export function perform(id) {
  const found = commands.peek().findLast((one) => one.id === id && one.when());
  found?.run();
  return Boolean(found);
}
