// Who is signed in, and how he likes it.

import { get } from "./api.js";
import { chooseLanguage } from "./i18n.js";
import { effect, signal } from "./signals.js";

const KEPT = "helpdesk.preferences";
const RANKS = ["agent", "supervisor", "admin"];
const DEFAULTS = { theme: "system", density: "calm", shortcuts: true, sounds: false };

/** `GET /me`, or null while nobody is signed in. */
export const me = signal(null);

/** Whether one has this role or more. */
export const may = (role) => RANKS.indexOf(me.value?.role) >= RANKS.indexOf(role);

export async function refreshMe() {
  me.value = await get("/me", undefined, { quiet: true });
  return me.value;
}

/** Whoever has just signed in. Answers false where the page is loaded anew in his language. */
export function signIn(found) {
  if (chooseLanguage(found.locale)) return false;
  // A browser in which nothing was chosen yet has it as the account has.
  if (!Object.keys(kept()).length) preferences.value = { ...DEFAULTS, ...found.preferences };
  me.value = found;
  return true;
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}

/** Of this browser: theme (system, light, dark), density (calm, dense), shortcuts of one key, sounds. */
export const preferences = signal({ ...DEFAULTS, ...kept() });

export function setPreference(name, value) {
  preferences.update((all) => ({ ...all, [name]: value }));
  try {
    localStorage.setItem(KEPT, JSON.stringify(preferences.peek()));
  } catch {
    // storage may be switched off: it lasts as long as the page
  }
}

addEventListener("storage", (event) => {
  if (event.key === KEPT) preferences.value = { ...DEFAULTS, ...kept() };
});

effect(() => {
  const { theme, density } = preferences.value;
  const root = document.documentElement.dataset;
  if (theme === "system") delete root.theme;
  else root.theme = theme;
  if (density === "dense") root.density = "dense";
  else delete root.density;
});
