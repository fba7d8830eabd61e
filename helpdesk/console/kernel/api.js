// The public API, as any client may use it: JSON, the session's cookie, problems as errors.

import { href, ROOT } from "./address.js";
import { h } from "./dom.js";
import { has, language, t } from "./i18n.js";
import { learnClock, number } from "./format.js";

export { href };
const TRIES = 4;
const NEWS_MS = 15_000;
const RENEWS = /^\/(auth|me)\b/; // by a sign-in, by proof, by another password
const boot = globalThis.helpdeskBoot?.answers ?? new Map();
const asked = new Map();
let signedOut = () => {};
let unverified = async () => false;
let cookies = 0; // that were given to this page
let agent = null;

/** What the API refused (RFC 9457). Decide by `slug`; `detail` is English, and for people. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail || body.title || String(status));
    this.status = status;
    this.slug = String(body.type ?? "").split(":").at(-1) || `http_${status}`;
    this.title = body.title ?? "";
    this.detail = body.detail ?? "";
    this.errors = body.errors ?? [];
    this.body = body;
    this.retryAfter = retryAfter;
  }
  /** What is wrong with a field, by its dotted name. */
  field(name) {
    return this.errors.find((one) => one.field === name)?.message;
  }
}

/** No answer came: no network, or nobody at the other end. */
export class Offline extends Error {}

export const isAbort = (error) => error?.name === "AbortError";
/** Called when the session has ended, after `GET /me` has confirmed it. */
export const whenSignedOut = (act) => (signedOut = act);
/** Called when the password is wanted again; true: it was given, the request goes out once more. */
export const whenUnverified = (act) => (unverified = act);

/** Whose page this is. What it writes says so: the browser's session may be another's by now, and refuses that. */
export const speakAs = (id) => (agent = id);
const spoken = (method) => (agent && method !== "GET" ? { "Helpdesk-Agent": agent } : {});

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  return new Problem(response.status, body, Number(response.headers.get("Retry-After")) || body.retry_after || 0);
}

async function request(method, path, { query, body, key, version, signal, quiet } = {}) {
  const headers = { Accept: "application/json", ...spoken(method) };
  if (key) headers["Idempotency-Key"] = key === true ? crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` : key;
  if (version === null) headers["If-None-Match"] = "*"; // it must not be there yet
  else if (version !== undefined) headers["If-Match"] = `"${version}"`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const init = { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
  // What writes nothing, or nothing twice, may be sent again when no answer came.
  const again = method === "GET" || Boolean(key) || version !== undefined;
  for (let tries = 1, proved = false; ; tries += 1) {
    let response;
    let found;
    try {
      response = await ((method === "GET" && takeBoot(path, query)) || fetch(href(path, query), init));
      if (response.ok) found = await bodyOf(response); // half an answer is none
    } catch (error) {
      if (isAbort(error)) throw error;
      if (!again || tries >= TRIES || version !== undefined) throw new Offline(error.message);
      await pause(300 * 2 ** tries * Math.random());
      continue;
    }
    learnClock(response.headers.get("Date"));
    if (response.ok && method !== "GET" && RENEWS.test(path)) cookies += 1;
    if (response.ok) return found;
    const problem = await problemOf(response);
    if (problem.slug === "verification_required" && !proved && (await unverified())) {
      proved = true;
      continue;
    }
    if (problem.slug === "unauthenticated" && !quiet) await ended();
    const soon = problem.slug === "idempotency_running" || (problem.status === 503 && again);
    if (!soon || tries >= TRIES) throw problem;
    await pause(1000 * Math.min(problem.retryAfter || 0.5, 5));
  }
}

const bodyOf = async (response) => {
  const text = await response.text();
  return text || ![202, 204].includes(response.status) ? JSON.parse(text) : null;
};

/** The cookie is renewed now and then, and what was under way with the old one is refused: ask who we are, again if it was then. */
async function ended() {
  for (let before; before !== cookies; ) {
    before = cookies;
    const answer = await fetch(`${ROOT}/me`).catch(() => null);
    if (answer?.status === 401) continue;
    const now = await answer?.json().catch(() => null);
    return void (agent && now?.id && now.id !== agent && location.reload());
  }
  signedOut();
}

/** What the first module has asked for already, while it is news. */
function takeBoot(path, query) {
  const name = href(path, query);
  const found = performance.now() < NEWS_MS && boot.get(name);
  boot.delete(name);
  return found;
}

/** The same question asked twice at once is asked once, unless it can be aborted. */
export function get(path, query, { signal, quiet } = {}) {
  if (signal) return request("GET", path, { query, signal, quiet });
  const name = href(path, query);
  if (!asked.has(name)) {
    const answer = request("GET", path, { query, quiet }).finally(() => asked.delete(name));
    asked.set(name, answer);
  }
  return asked.get(name);
}

export const post = (path, body, options) => request("POST", path, { ...options, body });
export const put = (path, body, options) => request("PUT", path, { ...options, body });
export const patch = (path, body, options) => request("PATCH", path, { ...options, body });
export const del = (path, options) => request("DELETE", path, options);

/** Every item of a list, page by page. */
export async function* pages(path, query) {
  for (let cursor; ; ) {
    const page = await get(path, { limit: 100, ...query, cursor });
    yield* page.items;
    cursor = page.next_cursor;
    if (!cursor) return;
  }
}

export async function every(path, query, most = 1000) {
  const found = [];
  for await (const item of pages(path, query)) if (found.push(item) >= most) break;
  return found;
}

/** Upload one file; `progress` hears of each part from 0 to 1. By XMLHttpRequest, since fetch tells nothing of it. */
export function upload(path, file, { progress, signal } = {}) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file, file.name);
    sending.open("POST", `${ROOT}${path}`);
    for (const [name, value] of Object.entries(spoken("POST"))) sending.setRequestHeader(name, value);
    sending.responseType = "json";
    sending.upload.onprogress = (event) => progress?.(event.lengthComputable ? event.loaded / event.total : 0);
    sending.onerror = () => reject(new Offline("upload"));
    sending.onabort = () => reject(new DOMException("aborted", "AbortError"));
    sending.onload = async () => {
      if (sending.status < 300) return resolve(sending.response);
      const problem = new Problem(sending.status, sending.response ?? {}, Number(sending.getResponseHeader("Retry-After")));
      if (problem.slug === "unauthenticated") await ended();
      return reject(problem);
    };
    signal?.addEventListener("abort", () => sending.abort());
    sending.send(form);
  });
}

/** What the API says is English: beside words of ours, and folded where another language is read. */
export const inItsWords = (detail) => (language === "en" ? h("span", {}, " ", detail) : h("details", {}, h("summary", {}, t("form.detail")), h("span", { lang: "en" }, detail)));

/** What went wrong and what to do about it, in the reader's language: a text, or a list of what is to be shown. */
export function explain(error) {
  if (error instanceof Offline) return t("problem.offline");
  if (!(error instanceof Problem)) return t("problem.unknown");
  if (error.slug === "too_many_requests") return t("problem.too_many_requests", { n: error.retryAfter || 1, seconds: number(error.retryAfter || 1) });
  const key = `problem.${error.slug}`;
  const detail = error.detail || error.title;
  return has(key) ? t(key) : [t("problem.other"), detail && inItsWords(detail)];
}
