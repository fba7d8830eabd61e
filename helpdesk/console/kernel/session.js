// Who is signed in, and how he likes it.

import { get, patch, post, speakAs } from "./api.js";
import { chooseLanguage } from "./i18n.js";
import { effect, flush, signal } from "./signals.js";

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

// A browser has one session for all its tabs. What a page keeps is of one person: for another it is loaded anew.
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("helpdesk.who") : null;
let last = null;

/** Whoever has just signed in. Answers false where the page is loaded anew, in his language or without what another left. */
export function signIn(found) {
  channel?.postMessage({ id: found.id });
  if (chooseLanguage(found.locale)) return false;
  if (last && last !== found.id) {
    location.reload();
    return false;
  }
  last = found.id;
  speakAs(found.id);
  // A browser in which nothing was chosen yet has it as the account has.
  if (!Object.keys(kept()).length) preferences.value = { ...DEFAULTS, ...found.preferences };
  me.value = found;
  return true;
}

const leaving = new Set();
/** Do something before the session is ended: what the server has need not stay in a browser that others use. */
export const beforeSignOut = (act) => void leaving.add(act);

/** End the session, in all tabs. */
export async function signOut() {
  await Promise.allSettled([...leaving].map((act) => act()));
  await post("/auth/logout");
  channel?.postMessage({ id: null });
}

channel?.addEventListener("message", ({ data }) => {
  if (!me.peek() || me.peek().id === data.id) return;
  me.value = null;
  flush(); // first whatever would still be written goes: it would be written in the other's name
  location.reload();
});

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}

/** Of this browser: theme (system, light, dark), density (calm, dense), shortcuts of one key, sounds. */
export const preferences = signal({ ...DEFAULTS, ...kept() });

function setPreference(name, value) {
  preferences.update((all) => ({ ...all, [name]: value }));
  try {
    localStorage.setItem(KEPT, JSON.stringify(preferences.peek()));
  } catch {
    // storage may be switched off: it lasts as long as the page
  }
}

/** Change what the API keeps of oneself, with the version of now. */
export async function changeMe(body) {
  me.value = await patch("/me", body, { version: me.peek().version });
  return me.peek();
}

/** Seen at once, and kept with the account: a browser in which nothing was chosen yet begins with it. */
export function prefer(name, value) {
  setPreference(name, value);
  return changeMe({ preferences: { [name]: value } });
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
