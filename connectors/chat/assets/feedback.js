/*
 * The feedback form of a website or an app's web view: category, words, screenshots, and what device it is on.
 *
 *   <script type="module" src="https://desk.example/channels/chat/feedback.js?inbox=INBOX_ID"></script>
 *   <button data-helpdesk-feedback>Give feedback</button>
 *
 * Alone by that line, or by `helpdesk.chat.feedback()` of the widget, whose session it shares: what is answered to the
 * feedback is then read there. It looks like the widget and takes from its file what both need, once the form is opened;
 * that file opens no chat by that. It keeps to the same strict policies: no inline style, no markup out of strings,
 * nothing but the desk to connect to. Nothing leaves the browser before he presses Send, pictures included.
 * Protocol: docs/chat.md.
 */

// --------------------------------------------------------------------------------------------------------------- texts

const LANGUAGES = ["en", "zh-CN", "zh-TW"];

/** What people read, in the order of LANGUAGES; what is not here is the widget's. */
export const TEXTS = {
  title: ["Give feedback", "意见反馈", "意見回饋"],
  close: ["Close", "关闭", "關閉"],
  loading: ["One moment…", "请稍候…", "請稍候…"],
  lead: [
    "What is wrong, what is missing, what do you like?",
    "有问题、有建议，或者有喜欢的地方？请告诉我们。",
    "有問題、有建議，或者有喜歡的地方？請告訴我們。",
  ],
  text: ["Your feedback", "您的反馈", "您的回饋"],
  pictures: ["Screenshots", "截图", "螢幕截圖"],
  add: ["Choose pictures", "选择图片", "選擇圖片"],
  shoot: ["Take a screenshot", "截取屏幕", "擷取螢幕"],
  hint: [
    "Or paste them, or drop them here. Cover what is private first.",
    "也可以直接粘贴或拖到这里。请先遮住隐私内容。",
    "也可以直接貼上或拖到這裡。請先遮住私人內容。",
  ],
  added: ["{name} has been added.", "已添加 {name}。", "已加入 {name}。"],
  removed: ["{name} has been removed.", "已移除 {name}。", "已移除 {name}。"],
  onlyPictures: ["{name} is not a picture.", "{name} 不是图片。", "{name} 不是圖片。"],
  notTaken: ["No screenshot was taken.", "未截取屏幕。", "未擷取螢幕。"],
  details: ["Send technical details along", "附上技术信息", "附上技術資訊"],
  version: ["App version: {value}", "应用版本：{value}", "應用程式版本：{value}"],
  device: ["Device: {value}", "设备：{value}", "裝置：{value}"],
  safety: [
    "Never send your recovery phrase or private keys, not in a screenshot either. We never ask for them.",
    "切勿发送助记词或私钥，也不要出现在截图中。我们绝不会索要。",
    "切勿傳送助記詞或私鑰，也不要出現在螢幕截圖中。我們絕不會索取。",
  ],
  send: ["Send feedback", "提交反馈", "送出回饋"],
  sending: ["Sending…", "正在提交…", "正在送出…"],
  offline: [
    "No connection. What you wrote is still here: please try again.",
    "网络连接失败。您填写的内容仍在，请重试。",
    "網路連線失敗。您填寫的內容仍在，請重試。",
  ],
  unavailable: ["Feedback is not possible here right now.", "此处暂时无法提交反馈。", "此處暫時無法送出回饋。"],
  thanks: ["Thank you!", "感谢您的反馈！", "感謝您的回饋！"],
  arrived: ["Your feedback has reached our team.", "我们的团队已收到您的反馈。", "我們的團隊已收到您的回饋。"],
  another: ["Give more feedback", "继续反馈", "繼續回饋"],
};

let language = "en";

function t(key, values = {}) {
  const told = (TEXTS[key] ?? widget.TEXTS[key])[LANGUAGES.indexOf(language)];
  return told.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

// ----------------------------------------------------------------------------------------- the desk and the one session

const HERE = new URL(import.meta.url);
const INBOX = HERE.searchParams.get("inbox") ?? "";
const API = new URL("./", HERE).href;
const KEY = `helpdesk.chat.${INBOX}.session`;
const PICTURES = ["image/png", "image/jpeg", "image/webp", "image/gif"];
const MOST_PICTURES = 5;
const ONE_LINE = 200;

let widget = null;
let config = null;
// Where storage is refused, the session lasts as long as the page.
let own = null;
// The token that the desk no longer knows.
let spent = "";

/** What the desk refused: `code` is the slug of its problem, or "network" where nothing came back. */
class Refused extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

const pause = (ms) =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

async function call(method, path, body, token) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  const isFile = body instanceof FormData;
  if (body && !isFile) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(API + path, {
      method,
      headers,
      body: !body || isFile ? body : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      signal: AbortSignal.timeout(isFile ? 180_000 : 30_000),
    });
    if (answer.ok) return await answer.json();
  } catch {
    throw new Refused("network");
  }
  const problem = await answer.json().catch(() => ({}));
  const slug = String(problem.type ?? "").split(/[:/#]/);
  throw new Refused(slug.pop() || `http-${answer.status}`);
}

/** The session that the chat of this site has, in this tab or another, if there is one. */
function session() {
  let kept = own;
  try {
    kept = JSON.parse(localStorage.getItem(KEY)) ?? own;
  } catch {
    // Refused: this page has its own.
  }
  return kept?.token === spent ? null : kept;
}

/** One is begun with the first feedback if there is none, and the chat, if it is on this page, goes on with it. */
async function begin() {
  // What the inbox asks everybody for before the first word.
  const asked = config.prechat.filter(({ required }) => required);
  const prechat = Object.fromEntries(asked.map(({ name }) => [name, ui.form.elements[name].value.trim()]));
  const { token, visitor, expires_at } = await call("POST", `${INBOX}/sessions`, { language, prechat });
  const begun = { token, visitor, expires_at, subject: "" };
  try {
    localStorage.setItem(KEY, JSON.stringify(begun));
    // The browser tells the other tabs by itself. This one it tells nothing.
    dispatchEvent(new StorageEvent("storage", { key: KEY }));
  } catch {
    own = begun;
  }
  return begun;
}

// --------------------------------------------------------------------------------------------------------- the feedback

let options = {};
let pictures = [];
let device = "";
let sending = false;
// The same feedback goes under the same id, however often it is tried; another one under another.
let last = { sign: "", id: "" };

const line = (text) =>
  String(text ?? "")
    .replace(/[\x00-\x1f\x7f]/g, " ")
    .trim()
    .slice(0, ONE_LINE);

const appVersion = () => line(options.appVersion ?? document.documentElement.dataset.helpdeskAppVersion);

/** What he holds in his hands, as far as the browser or the app around it tells. */
async function deviceOf() {
  const given = options.device ?? document.documentElement.dataset.helpdeskDevice;
  if (given) return line(given);
  const told = navigator.userAgentData;
  const size = `${screen.width}×${screen.height}`;
  if (!told?.platform) return line(`${size}, ${navigator.userAgent}`);
  const more = await told.getHighEntropyValues(["model", "platformVersion"]).catch(() => ({}));
  // Among the brands is one that means nothing, and the one that they all are made of.
  const brands = told.brands.filter(({ brand }) => !/not.{0,3}a.{0,3}brand/i.test(brand));
  const { brand, version } = brands.find((one) => one.brand !== "Chromium") ?? brands[0] ?? {};
  const parts = [more.model, [told.platform, more.platformVersion].filter(Boolean).join(" ")];
  return line([...parts, brand && `${brand} ${version}`, size].filter(Boolean).join(", "));
}

function idOf(body) {
  const sign = JSON.stringify([body, pictures.map(({ key }) => key)]);
  if (sign !== last.sign) {
    const random = crypto.getRandomValues(new Uint32Array(2)).join("-");
    last = { sign, id: `fb-${Date.now().toString(36)}-${random}` };
  }
  return last.id;
}

async function deliver(body, again = true) {
  if (!session() && !complete(true)) throw new Refused("incomplete");
  const { token } = session() ?? (await begin());
  try {
    for (const one of pictures) {
      // An upload belongs to the session that it was made in.
      if (one.token === token) continue;
      const form = new FormData();
      form.append("file", one.file, one.name);
      const { id } = await call("POST", "attachments", form, token);
      Object.assign(one, { id, token });
    }
    const client_id = idOf(body);
    const sent = { ...body, client_id, attachment_ids: pictures.map(({ id }) => id) };
    await call("POST", "feedback", sent, token);
  } catch (error) {
    if (error.code !== "session_refused" || !again) throw error;
    // The chat may be about to write down the token that came after this one.
    await pause(1500);
    spent = token;
    await deliver(body, false);
  }
}

// ------------------------------------------------------------------------------------------------------------- the page

const ui = {};

const h = (...how) => widget.h(...how);
const icon = (name) => widget.icon(name);
const button = (kind, label, onclick) => h("button", { type: "button", class: kind, onclick }, label);
const wrong = (name) => h("p", { class: "wrong", id: `e-${name}`, role: "alert", hidden: true });

function field(name, control) {
  control.id = control.name = name;
  control.required = true;
  control.setAttribute("aria-describedby", `e-${name}${name === "text" ? " safety" : ""}`);
  return h("div", { class: "field" }, h("label", { for: name }, t(name)), control, wrong(name));
}

/** Say what is wrong with a field, or that nothing is. */
function complain(control, words = "", more = null) {
  const place = ui.form.querySelector(`#e-${control.name}`);
  place.replaceChildren(...[words, more].filter(Boolean));
  place.hidden = !words;
  if (words) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

/** Those that have to be filled in: the fields that the inbox asks everybody for only while nobody knows who he is. */
function fields() {
  const all = [...ui.form.querySelectorAll("select, textarea, .asked input")];
  return all.filter((control) => !control.closest("[hidden]"));
}

function complete(sure = false) {
  ui.asked.hidden = Boolean(session());
  const kinds = new Map();
  const given = fields();
  for (const control of given) {
    const value = control.value.trim();
    if (!value) complain(control, t("required"));
    else if (control.name === "email" && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(value)) complain(control, t("wrongEmail"));
    else {
      complain(control);
      if (!sure && control.name !== "category") kinds.set(control, widget.secretIn(value));
    }
  }
  for (const [control, kind] of kinds) {
    if (!kind || (control.name === "transaction_hash" && kind !== "phrase")) continue;
    const which = kind === "maybe" ? "maybe" : "secret";
    complain(control, t(`${which}Text`), button("link", t(`${which}Send`), () => submit(true)));
  }
  const first = given.find((control) => control.hasAttribute("aria-invalid"));
  first?.focus();
  return !first;
}

function values() {
  const { category, text } = ui.form.elements;
  const body = { category: category.value, text: text.value.trim() };
  if (ui.details.checked) Object.assign(body, { app_version: appVersion(), device });
  return body;
}

async function submit(sure = false) {
  if (sending) return;
  sending = true;
  trouble("");
  try {
    if (!complete(sure)) return;
    ui.send.setAttribute("aria-disabled", "true");
    ui.send.textContent = t("sending");
    tell(t("sending"));
    await deliver(values());
    last = { sign: "", id: "" };
    thank();
  } catch (error) {
    if (error.code !== "incomplete") {
      const key = { network: "offline", rate_limited: "slower", too_many: "slower" }[error.code] ?? "trouble";
      trouble(t(key));
    }
  } finally {
    sending = false;
    ui.send.removeAttribute("aria-disabled");
    ui.send.textContent = t(ui.trouble.hidden ? "send" : "retry");
  }
}

function trouble(words) {
  ui.trouble.textContent = words;
  ui.trouble.hidden = !words;
  tell("");
}

/** For who hears the page. */
const tell = (words) => {
  ui.told.textContent = words;
};

// ------------------------------------------------------------------------------------------------------------- pictures

function attach(files) {
  const note = (key, values) => {
    ui.note.textContent = t(key, values);
    ui.note.hidden = false;
  };
  ui.note.hidden = true;
  for (const file of files) {
    const name = line(file.name) || "screenshot.png";
    if (!PICTURES.includes(file.type)) note("onlyPictures", { name });
    else if (file.size > config.limits.upload) note("uploadLarge", { name, size: sized(config.limits.upload) });
    else if (pictures.length >= Math.min(MOST_PICTURES, config.limits.uploads)) note("uploadMany", { n: pictures.length });
    else show({ file, name, key: crypto.getRandomValues(new Uint32Array(1))[0] });
  }
}

const sized = (bytes) =>
  new Intl.NumberFormat(language, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 }).format(bytes / 1e6);

function show(one) {
  pictures.push(one);
  const canvas = h("canvas", { "aria-hidden": "true" });
  const label = t("remove", { name: one.name });
  const drop = h("button", { type: "button", class: "icon", "aria-label": label, title: label }, icon("close"));
  const row = h("li", {}, canvas, h("span", { class: "filename" }, one.name), drop);
  drop.addEventListener("click", () => {
    if (sending) return;
    pictures = pictures.filter((other) => other !== one);
    row.remove();
    ui.note.hidden = true;
    tell(t("removed", { name: one.name }));
    ui.add.focus();
  });
  ui.list.append(row);
  tell(t("added", { name: one.name }));
  // Only pixels get into the page: a policy without `img-src blob:` does not mind.
  createImageBitmap(one.file).then(
    (bitmap) => {
      const scale = Math.min(1, 192 / bitmap.width, 128 / bitmap.height);
      canvas.width = Math.max(1, Math.round(bitmap.width * scale));
      canvas.height = Math.max(1, Math.round(bitmap.height * scale));
      canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      bitmap.close();
    },
    () => canvas.remove(),
  );
}

/** One picture of what he chooses in the browser's own question, without this form in front of it. */
async function shoot() {
  let stream;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia({ video: true, preferCurrentTab: true });
    ui.dialog.classList.add("away");
    const video = h("video", { playsinline: true });
    video.muted = true;
    video.srcObject = stream;
    await video.play();
    // Until what asked him is gone from the screen as well.
    await pause(500);
    const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((resolve) => {
      canvas.toBlob(resolve, "image/png");
    });
    attach([new File([blob], "screenshot.png", { type: "image/png" })]);
  } catch {
    ui.note.textContent = t("notTaken");
    ui.note.hidden = false;
  } finally {
    for (const track of stream?.getTracks() ?? []) track.stop();
    ui.dialog.classList.remove("away");
    ui.shoot.focus();
  }
}

function pasted(event) {
  if (!ui.form || ui.form.hidden || !event.clipboardData.files.length) return;
  event.preventDefault();
  attach(event.clipboardData.files);
}

/** Files over the form are taken, and never opened instead of the page. */
function dragged(event) {
  if (event.type === "dragleave" && ui.dialog.contains(event.relatedTarget)) return;
  if (event.type !== "dragleave") event.preventDefault();
  const takes = ui.form && !ui.form.hidden;
  ui.dialog.classList.toggle("over", event.type === "dragover" && Boolean(takes));
  if (event.type === "drop" && takes) attach(event.dataTransfer.files);
}

// ------------------------------------------------------------------------------------------------ building and opening

function build() {
  const host = (ui.host = document.createElement("helpdesk-feedback"));
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(widget.CSS + CSS);
  root.adoptedStyleSheets = [sheet];
  const shut = h("button", { type: "button", class: "icon", "aria-label": t("close"), title: t("close") }, icon("close"));
  shut.addEventListener("click", close);
  ui.body = h("div", { class: "body" });
  ui.told = h("p", { class: "hidden", role: "status" });
  const listeners = { onpaste: pasted, ondragover: dragged, ondragleave: dragged, ondrop: dragged };
  ui.dialog = h(
    "dialog",
    { "class": "widget", "aria-labelledby": "title", lang: language, ...listeners },
    h("header", {}, h("h2", { id: "title" }, t("title")), shut),
    ui.body,
    ui.told,
  );
  root.append(ui.dialog);
  document.body.append(host);
}

function fill() {
  const choices = config.categories.map(({ value, name }) => h("option", { value }, name[language] || name.en || value));
  const picker = h("input", { type: "file", accept: PICTURES.join(), multiple: true, hidden: true });
  picker.addEventListener("change", () => {
    attach(picker.files);
    picker.value = "";
  });
  ui.list = h("ul", { class: "chips" });
  ui.note = h("p", { class: "wrong", role: "alert", hidden: true });
  ui.add = button("second", t("add"), () => picker.click());
  ui.shoot = button("second", t("shoot"), shoot);
  ui.shoot.hidden = !navigator.mediaDevices?.getDisplayMedia;
  const needed = config.prechat.filter(({ name, required }) => required && name !== "category");
  const kinds = { name: ["text", "name"], email: ["email", "email"] };
  ui.asked = h(
    "div",
    { class: "asked" },
    ...needed.map(({ name }) => {
      const [type, autocomplete] = kinds[name] ?? ["text", "off"];
      return field(name, h("input", { type, autocomplete, maxlength: ONE_LINE, spellcheck: "false" }));
    }),
  );
  ui.asked.hidden = Boolean(session());
  ui.details = h("input", { type: "checkbox", id: "details", checked: true, "aria-describedby": "facts" });
  ui.facts = h("ul", { class: "soft", id: "facts" });
  ui.trouble = h("p", { class: "trouble", role: "alert", id: "trouble", hidden: true });
  ui.send = h("button", { type: "submit", class: "primary", "aria-describedby": "trouble" }, t("send"));
  const soft = h("span", { class: "soft" }, ` (${t("optional")})`);
  ui.form = h(
    "form",
    {
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        submit();
      },
    },
    h("p", { class: "lead" }, t("lead")),
    field("category", h("select", {}, h("option", { value: "" }, t("choose")), ...choices)),
    field("text", h("textarea", { rows: 5, maxlength: config.limits.text })),
    h("p", { class: "safety", id: "safety" }, icon("shield"), h("span", {}, t("safety"))),
    h(
      "fieldset",
      {},
      h("legend", {}, t("pictures"), soft),
      h("div", { class: "buttons" }, ui.shoot, ui.add, picker),
      h("p", { class: "soft" }, t("hint")),
      ui.list,
      ui.note,
    ),
    ui.asked,
    h("div", { class: "details" }, h("label", { for: "details" }, ui.details, t("details")), ui.facts),
    ui.trouble,
    ui.send,
  );
  ui.body.replaceChildren(ui.form);
}

/** What came with `open`, where he has not written anything himself. */
async function dress() {
  const { category, text } = ui.form.elements;
  ui.asked.hidden = Boolean(session());
  category.value ||= options.category ?? "";
  text.value ||= options.text ?? "";
  category.focus();
  device = await deviceOf();
  const version = appVersion();
  const facts = [version && t("version", { value: version }), device && t("device", { value: device })];
  ui.facts.replaceChildren(...facts.filter(Boolean).map((fact) => h("li", {}, fact)));
}

function thank() {
  pictures = [];
  options = { ...options, category: "", text: "" };
  const title = h("h3", { tabindex: "-1" }, t("thanks"));
  const again = button("link", t("another"), () => {
    fill();
    dress();
  });
  ui.body.replaceChildren(
    h(
      "div",
      { class: "done" },
      icon("check"),
      title,
      h("p", {}, t("arrived")),
      h("div", { class: "buttons" }, button("primary", t("close"), close), again),
    ),
  );
  ui.form = null;
  tell(`${t("thanks")} ${t("arrived")}`);
  title.focus();
}

async function load() {
  ui.body.replaceChildren(h("p", { class: "lead", role: "status" }, t("loading")));
  try {
    config = await call("GET", `${INBOX}/config`);
  } catch (error) {
    const away = error.code === "network";
    if (!away) console.warn(`helpdesk feedback: ${error.code}. Is the inbox right, and this site one of its origins?`);
    const again = button("primary", t("retry"), load);
    const told = h("p", { role: "alert" }, t(away ? "offline" : "unavailable"));
    ui.body.replaceChildren(h("div", { class: "done" }, told, again));
    again.focus();
    return;
  }
  ui.host.style.setProperty("--accent", config.color);
  ui.host.style.setProperty("--on-accent", widget.readable(config.color));
  fill();
  await dress();
}

/** Open the form. Without its inbox the widget's file opens no chat, and with it the browser has it. `given`: `appVersion`, `device`, and a `category` and a `text` to begin with; all optional. */
async function open(given = {}) {
  options = { ...options, ...given };
  widget ??= await import(new URL(`widget.js${window.helpdesk.chat ? HERE.search : ""}`, HERE).href);
  if (!ui.dialog) {
    const { dataset, lang } = document.documentElement;
    const tags = [HERE.searchParams.get("lang"), dataset.helpdeskLang, lang, ...navigator.languages];
    language = tags.map((tag) => widget.spoken(tag ?? "")).find(Boolean) ?? "en";
    build();
  }
  if (ui.dialog.open) return;
  // A modal dialog of the browser's own: it keeps the focus in, ends by Escape, and gives the focus back.
  ui.dialog.showModal();
  if (!config) await load();
  else {
    if (!ui.form) fill();
    await dress();
  }
}

/** What he has written stays until he opens it again. */
function close() {
  ui.dialog?.close();
}

const CSS = `
dialog.widget { width: 480px; max-width: calc(100vw - 32px); max-height: calc(100dvh - 48px); margin: auto; padding: 0; border: 0; border-radius: 18px; overflow: hidden auto; overscroll-behavior: contain; scroll-padding: 84px 0 24px; scrollbar-width: thin; background: var(--back); box-shadow: var(--shade); }
dialog::backdrop { background: #0b0f18b3; }
dialog.away, dialog.away::backdrop { opacity: 0; }
header { position: sticky; z-index: 1; top: 0; padding-block: 10px; padding-inline-start: 24px; padding-top: max(10px, env(safe-area-inset-top)); background: var(--accent, #444b57); color: var(--on-accent, #fff); }
h2 { flex: 1; }
.body { padding: 20px 24px; padding-bottom: max(24px, env(safe-area-inset-bottom)); }
form, .asked, .done { display: grid; gap: 16px; }
fieldset { display: grid; gap: 6px; }
legend { margin-bottom: 6px; }
.lead { font-size: 18px; margin: 0; }
.soft { overflow-wrap: anywhere; }
textarea { width: 100%; min-height: 96px; padding: 9px 12px; border: 1px solid var(--edge); border-radius: 10px; background: var(--back); font-size: 16px; resize: vertical; display: block; }
.safety { margin-top: -8px; padding: 0; border: 0; font-size: 13px; }
.wrong .link { display: block; padding: 0; color: var(--text); }
.second { min-height: 44px; padding: 0 16px; border: 1px solid var(--edge); border-radius: 12px; font-weight: 600; }
.second:hover { background: var(--soft); }
.chips { max-height: none; margin: 0; }
canvas { max-width: 96px; max-height: 64px; margin: 8px 0; border-radius: 6px; flex: none; }
.details { padding: 4px 14px 12px; border: 1px solid var(--line); border-radius: 12px; }
.details label { display: flex; align-items: center; gap: 10px; min-height: 44px; cursor: pointer; }
.details ul { padding-inline-start: 30px; list-style: none; }
input[type=checkbox] { width: 20px; min-height: 20px; height: 20px; padding: 0; accent-color: var(--text); flex: none; }
.trouble { padding: 10px 14px; border-radius: 10px; border: 1px solid var(--wrong); color: var(--wrong); font-weight: 600; }
.done { justify-items: center; padding: 24px 0 8px; text-align: center; }
.done > svg { width: 48px; height: 48px; padding: 10px; border-radius: 50%; background: var(--soft); color: var(--good); }
h3:focus-visible { outline: none; box-shadow: none; }
.over .body { outline: 2px dashed var(--edge); outline-offset: -8px; border-radius: 18px; }
@media (max-width: 520px), (max-height: 480px) {
  dialog.widget { width: 100%; max-width: none; height: 100%; max-height: none; border-radius: 0; }
  .body, header { padding-inline-start: 18px; }
  .body { padding-inline-end: 18px; }
}
@media (forced-colors: active) { dialog { border: 1px solid; } }
`;

// A page may hold the line twice, and the widget may have loaded it before: there is one form.
if (INBOX && !window.helpdesk?.feedback) {
  window.helpdesk = { ...window.helpdesk, feedback: { open, close } };
  // A button of the page needs no script of the page. Focused first: not every browser does so by the click.
  addEventListener("click", ({ target }) => {
    const pressed = target instanceof Element && target.closest("[data-helpdesk-feedback]");
    if (!pressed) return;
    pressed.focus();
    open();
  });
}
