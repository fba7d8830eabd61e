// Where we are. The address is the state: filters, the open conversation, the page of the settings.

import { ROUTES } from "../routes.js";
import { unescaped } from "./address.js";
import { loadTexts } from "./i18n.js";
import { batch, onCleanup, signal } from "./signals.js";

const patterns = ROUTES.map(([path, area]) => {
  const names = [];
  const expression = path.replace(/:(\w+)/g, (_, name) => (names.push(name), "([^/]+)"));
  return { area, names, expression: new RegExp(`^${expression}$`) };
});
const guards = new Set();
const loaded = new Map();

function read(address = location.href) {
  const url = new URL(address, location.href);
  for (const { area, names, expression } of patterns) {
    const found = expression.exec(url.pathname);
    if (!found) continue;
    const params = Object.fromEntries(names.map((name, at) => [name, unescaped(found[at + 1])]));
    return { path: url.pathname, area, params, query: url.searchParams, hash: url.hash };
  }
  return null;
}

/** The present address: `path`, `area`, `params`, `query` (URLSearchParams), `hash`. */
export const here = signal(read() ?? { path: location.pathname, area: "", params: {}, query: new URLSearchParams(), hash: "" });

/** Go to an address of ours; anything else is left to the browser. Answers whether we went. */
export async function go(address, { replace = false } = {}) {
  const next = read(address);
  if (!next) {
    location.assign(address);
    return false;
  }
  if (next.path !== here.peek().path && !(await mayLeave())) return false;
  const shown = next.path + (next.query.size ? `?${next.query}` : "") + next.hash;
  history[replace ? "replaceState" : "pushState"](null, "", shown);
  here.value = next;
  return true;
}

async function mayLeave() {
  for (const one of guards) if (!(await one())) return false;
  return true;
}

/** Change parts of the query: lists repeat a name, null takes it out. */
export function setQuery(changes, { replace = false } = {}) {
  const query = new URLSearchParams(here.peek().query);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const one of [value].flat()) if (one !== null && one !== undefined && one !== "") query.append(name, one);
  }
  return go(here.peek().path + (query.size ? `?${query}` : ""), { replace });
}

/** Ask before the page is left; ends with what is being made. */
export function guard(may) {
  guards.add(may);
  onCleanup(() => guards.delete(may));
}

export function setTitle(text) {
  document.title = text ? `${text} · Helpdesk` : "Helpdesk";
}

/** Load an area's module, texts and styles. Where its files are gone, a newer release is there: load the page anew. */
export function loadArea(name) {
  if (!loaded.has(name)) {
    const file = `../${name}/${name.split("/").at(-1)}`;
    const all = Promise.all([import(`${file}.js`), loadTexts(name), loadStyle(`${file}.css`)]);
    const found = all.then(([module]) => module);
    found.catch(() => {
      loaded.delete(name);
      renew();
    });
    loaded.set(name, found);
  }
  return loaded.get(name);
}

function loadStyle(file) {
  const address = new URL(file, import.meta.url).href;
  if ([...document.querySelectorAll("link[rel=stylesheet]")].some((one) => one.href === address)) return null;
  return new Promise((done, failed) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = address;
    link.onload = done;
    link.onerror = () => failed(new TypeError(`no style for ${file}`));
    document.head.append(link);
  });
}

const RENEWED = "helpdesk.renewed";
function renew() {
  const last = Number(sessionStorage.getItem(RENEWED));
  if (!navigator.onLine || Date.now() - last < 30_000) return; // once is a release, twice is trouble
  sessionStorage.setItem(RENEWED, String(Date.now()));
  location.reload();
}

/** Take up clicks on links of ours. `data-native` leaves one to the browser, and so do modifiers, targets, downloads. */
export function takeUpLinks() {
  addEventListener("popstate", () => {
    const next = read();
    if (next) batch(() => (here.value = next));
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target || link.hasAttribute("download") || "native" in link.dataset || link.origin !== location.origin) return;
    if (!read(link.href)) return;
    event.preventDefault();
    go(link.href);
  });
}
