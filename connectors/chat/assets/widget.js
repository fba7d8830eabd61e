/*
 * The chat on a website: one line embeds it, and this one file is all of it. It is one file, and long, because every
 * further one would be one more request on somebody else's page; a build step would be one more thing to trust.
 *
 *   <script type="module" src="https://desk.example/channels/chat/widget.js?inbox=INBOX_ID"></script>
 *
 * It keeps to what a strict policy of the host page allows: no inline style, no eval, no markup out of strings; it
 * needs only `script-src` and `connect-src` of the desk. All outside text becomes text nodes. The shadow root is open:
 * a closed one keeps no script of the page out, which could replace `attachShadow` before us, but does hide the chat
 * from the tools that test pages for accessibility. Protocol: docs/chat.md.
 */

// --------------------------------------------------------------------------------------------------------------- texts

const LANGUAGES = ["en", "zh-CN", "zh-TW"];

/** What people read, in the order of LANGUAGES. */
export const TEXTS = {
  open: ["Open chat", "打开聊天", "開啟聊天"],
  close: ["Close chat", "关闭聊天", "關閉聊天"],
  unread: ["Unread messages: {n}", "未读消息：{n}", "未讀訊息：{n}"],
  title: ["Chat with us", "在线客服", "線上客服"],
  attended: ["We are here", "客服在线", "客服上線中"],
  unattended: ["Nobody is here right now", "客服暂时不在", "客服暫時不在"],
  closed: ["Closed now", "现在是非服务时间", "目前非服務時間"],
  closedUntil: ["Closed. We are back {when}", "现在是非服务时间，{when}恢复服务", "目前非服務時間，{when}恢復服務"],
  yourTime: ["{when} (your time)", "{when}（您的当地时间）", "{when}（您的當地時間）"],
  safety: [
    "We never ask for your recovery phrase or private keys. Nobody who does is from us.",
    "我们绝不会索要您的助记词或私钥。凡是索要的，都不是我们。",
    "我們絕不會索取您的助記詞或私鑰。凡是索取的，都不是我們。",
  ],
  hello: ["How can we help?", "请问有什么可以帮您？", "請問有什麼可以幫您？"],
  formHint: [
    "Tell us a little first, so that the right person answers.",
    "请先填写一点信息，以便由合适的人答复您。",
    "請先填寫一點資訊，以便由合適的人答覆您。",
  ],
  optional: ["optional", "选填", "選填"],
  name: ["Your name", "您的称呼", "您的稱呼"],
  email: ["E-mail address", "电子邮箱", "電子郵件地址"],
  category: ["What is it about?", "问题类型", "問題類型"],
  choose: ["Please choose", "请选择", "請選擇"],
  account: ["Account name", "账户名", "帳戶名稱"],
  transaction_hash: ["Transaction hash", "交易哈希", "交易雜湊"],
  wallet_address: ["Wallet address (public)", "钱包地址（公开地址）", "錢包地址（公開地址）"],
  start: ["Start chat", "开始聊天", "開始聊天"],
  required: ["Please fill this in.", "请填写此项。", "請填寫此項。"],
  wrongEmail: ["Please check the address.", "请检查邮箱地址。", "請檢查電子郵件地址。"],
  write: ["Write a message", "输入消息", "輸入訊息"],
  send: ["Send", "发送", "傳送"],
  attach: ["Attach files", "添加附件", "加入附件"],
  drop: ["Drop files here", "把文件拖到这里", "將檔案拖到這裡"],
  remove: ["Remove {name}", "移除 {name}", "移除 {name}"],
  uploading: ["Uploading {name}: {n}%", "正在上传 {name}：{n}%", "正在上傳 {name}：{n}%"],
  uploadFailed: ["{name} could not be uploaded.", "{name} 上传失败。", "{name} 上傳失敗。"],
  uploadLarge: ["{name} is larger than {size}.", "{name} 超过 {size}。", "{name} 超過 {size}。"],
  uploadMany: ["At most {n} files at a time.", "一次最多 {n} 个文件。", "一次最多 {n} 個檔案。"],
  download: ["Download {name}", "下载 {name}", "下載 {name}"],
  downloadFailed: ["The file could not be loaded.", "文件加载失败。", "檔案載入失敗。"],
  log: ["Conversation", "对话", "對話"],
  earlier: ["Earlier messages", "更早的消息", "更早的訊息"],
  newest: ["New messages", "新消息", "新訊息"],
  you: ["You", "您", "您"],
  support: ["Support", "客服", "客服"],
  bot: ["Assistant", "智能助手", "智慧助理"],
  joined: ["{name} has joined the chat", "{name} 已加入对话", "{name} 已加入對話"],
  resolved: ["This chat has been marked as solved", "此对话已标记为已解决", "此對話已標記為已解決"],
  ended: ["This chat has ended", "此对话已结束", "此對話已結束"],
  byMail: ["by e-mail", "通过邮件", "透過郵件"],
  typing: ["{name} is writing…", "{name} 正在输入…", "{name} 正在輸入…"],
  waiting: ["Waiting to be sent", "等待发送", "等待傳送"],
  sent: ["Sent", "已发送", "已傳送"],
  failed: ["Not sent", "未发送", "未傳送"],
  tooLong: ["Not sent: at most {n} characters", "未发送：最多 {n} 个字符", "未傳送：最多 {n} 個字元"],
  tooFast: ["A little slower, please: one moment", "发送太快，请稍候", "傳送太快，請稍候"],
  retry: ["Try again", "重试", "重試"],
  discard: ["Delete", "删除", "刪除"],
  queue: ["You are number {n} in the queue", "当前排在第 {n} 位", "目前排在第 {n} 位"],
  queueEta: [
    "You are number {n} in the queue, about {m} min",
    "当前排在第 {n} 位，约需 {m} 分钟",
    "目前排在第 {n} 位，約需 {m} 分鐘",
  ],
  reconnecting: ["No connection. Trying again…", "连接已断开，正在重新连接…", "連線已中斷，正在重新連線…"],
  replaced: ["The chat is open in too many places.", "聊天已在太多地方打开。", "聊天已在太多地方開啟。"],
  here: ["Continue here", "在此继续", "在此繼續"],
  expired: [
    "Your chat session has ended. Please start again.",
    "会话已过期，请重新开始。",
    "聊天已逾時，請重新開始。",
  ],
  trouble: ["That did not work. Please try again.", "操作失败，请重试。", "操作失敗，請重試。"],
  slower: ["Too many attempts. Please try again later.", "尝试次数过多，请稍后再试。", "嘗試次數過多，請稍後再試。"],
  mailTitle: ["Get the answer by e-mail too", "同时通过邮件接收回复", "同時透過郵件接收回覆"],
  mailHint: [
    "Leave now if you like: answers that you have not read here will reach you by e-mail.",
    "您可以先离开：未读的回复会发送到您的邮箱。",
    "您可以先離開：未讀的回覆會寄到您的信箱。",
  ],
  sendCode: ["Send code", "发送验证码", "傳送驗證碼"],
  code: ["6-digit code", "6 位验证码", "6 位數驗證碼"],
  codeHint: [
    "We have sent a code to {email}. Enter it only here.",
    "验证码已发送至 {email}，请只在此处输入。",
    "驗證碼已寄至 {email}，請只在此處輸入。",
  ],
  codeWrong: ["This code is wrong or too old.", "验证码错误或已过期。", "驗證碼錯誤或已過期。"],
  confirm: ["Confirm", "确认", "確認"],
  other: ["Other address", "换一个邮箱", "換一個信箱"],
  mailDone: ["Unread answers go to {email}", "未读回复将发送至 {email}", "未讀回覆將寄至 {email}"],
  rateTitle: ["How was this chat?", "您对本次服务满意吗？", "您對本次服務滿意嗎？"],
  rate1: ["1 of 5, very poor", "1 分，非常不满意", "1 分，非常不滿意"],
  rate2: ["2 of 5, poor", "2 分，不满意", "2 分，不滿意"],
  rate3: ["3 of 5, fair", "3 分，一般", "3 分，普通"],
  rate4: ["4 of 5, good", "4 分，满意", "4 分，滿意"],
  rate5: ["5 of 5, very good", "5 分，非常满意", "5 分，非常滿意"],
  comment: ["Anything to add?", "还有什么想说的吗？", "還有什麼想說的嗎？"],
  rateSend: ["Send rating", "提交评价", "送出評價"],
  thanks: ["Thank you for your rating", "感谢您的评价", "感謝您的評價"],
  menu: ["More", "更多", "更多"],
  sound: ["Sound for new messages", "新消息提示音", "新訊息提示音"],
  transcript: ["Transcript by e-mail", "将聊天记录发送到邮箱", "將聊天紀錄寄到信箱"],
  transcriptDone: ["The transcript is on its way", "聊天记录正在发送到您的邮箱", "聊天紀錄正在寄往您的信箱"],
  transcriptMail: ["Confirm your e-mail address first.", "请先验证您的邮箱。", "請先驗證您的信箱。"],
  leave: ["End chat", "结束对话", "結束對話"],
  leaveAsk: ["End this chat?", "要结束此对话吗？", "要結束此對話嗎？"],
  leaveHint: ["You can write again at any time.", "您随时可以再次联系我们。", "您隨時可以再次聯絡我們。"],
  cancel: ["Cancel", "取消", "取消"],
  secretTitle: ["Do not send this", "请不要发送", "請不要傳送"],
  secretText: [
    "This looks like a recovery phrase or a private key. Whoever has it can take everything in your wallet. We do not need it, and nobody who asks for it is from us. If you have given it to anyone, move your funds to a new wallet now.",
    "这看起来像是助记词或私钥。任何人拿到它，都可以转走您钱包里的全部资产。我们不需要它，索要它的人也不是我们。如果您已经告诉过别人，请立即把资产转移到新钱包。",
    "這看起來像是助記詞或私鑰。任何人拿到它，都可以轉走您錢包裡的全部資產。我們不需要它，索取它的人也不是我們。如果您已經告訴過別人，請立即將資產轉移到新錢包。",
  ],
  maybeTitle: ["Is this a private key?", "这是私钥吗？", "這是私鑰嗎？"],
  maybeText: [
    "Transaction hashes and private keys can look alike. A transaction hash is fine to send. A private key is not: whoever has it can take your funds.",
    "交易哈希和私钥看起来可能一样。交易哈希可以发送，私钥不可以：任何人拿到它都能转走您的资产。",
    "交易雜湊和私鑰看起來可能一樣。交易雜湊可以傳送，私鑰不可以：任何人拿到它都能轉走您的資產。",
  ],
  secretDrop: ["Delete it", "删除内容", "刪除內容"],
  secretSend: ["It is not one: send", "不是，继续发送", "不是，繼續傳送"],
  maybeSend: ["It is a hash: send", "是交易哈希，发送", "是交易雜湊，傳送"],
  today: ["Today", "今天", "今天"],
  yesterday: ["Yesterday", "昨天", "昨天"],
};

let language = "en";

function t(key, values = {}) {
  return TEXTS[key][LANGUAGES.indexOf(language)].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** The language of ours that a tag such as `zh-Hant-HK` means, if any. */
export function spoken(tag = "") {
  const lower = tag.toLowerCase().replaceAll("_", "-");
  if (/^zh-(?!hans).*(hant|tw|hk|mo)/.test(lower)) return "zh-TW";
  if (/^zh\b/.test(lower)) return "zh-CN";
  return /^en\b/.test(lower) ? "en" : undefined;
}

// ------------------------------------------------------------------------------------------------------------ settings

const HERE = new URL(import.meta.url);
const INBOX = HERE.searchParams.get("inbox") ?? "";
const API = new URL("./", HERE).href;
const PAGE = 40;
const MOST_SECONDS_AWAY = 30;
const SILENCE = 60_000;
const HIDDEN_FOR = 10 * 60_000;

/** By language, as the desk gives titles: the visitor's, else English, else any. */
const named = (texts) => texts?.[language] || texts?.en || "";

// ------------------------------------------------------------------------------------------------------------- secrets

// Words that no recovery phrase has (they are not on the list of 2,048) and hardly a sentence lacks.
const PROSE = new Set(
  (
    "the and for are but was not with from had has his her him its our were been did does got any who how yet your " +
    "hello please thanks thank sent send since why cannot didnt dont doesnt wont isnt ive tried trying sorry sir madam " +
    "than while being into out off via per hey which these those made within each every would could should because some " +
    "many most them their whose both last week money wallet pending " +
    "die der das den dem ich sie wir und ist mit von ein eine nicht des les que los las para con est pas pour une"
  ).split(" "),
);
const ALIKE = { а: "a", е: "e", о: "o", р: "p", с: "c", х: "x", у: "y", і: "i" };

const BASE58 = "[1-9A-HJ-NP-Za-km-z]";
const KEYS = [
  new RegExp(`\\b[xyzt]prv${BASE58}{90,}`), // extended keys
  new RegExp(`\\b[5KL]${BASE58}{50,51}\\b`), // wallet import format
  new RegExp(`\\b6P${BASE58}{56}\\b`), // encrypted by a password
  /PRIVATE KEY-----/,
  /\[\s*(?:\d{1,3}\s*,\s*){31,}\d{1,3}\s*\]/, // bytes
  /"ciphertext"[^]*"kdf|"kdf[^]*"ciphertext"/, // a keystore file
];
// 32 bytes in hex, 64 in base 58: keys, and hashes as well. After a slash they belong to an address.
const KEY_OR_HASH = new RegExp(`(?:^|[^0-9A-Za-z/])(?:(?:0x)?[0-9a-fA-F]{64}|${BASE58}{86,88})(?![0-9A-Za-z])`);

/**
 * Whether a text looks like what nobody must ever send: "phrase", "key", or "maybe" for what may as well be the hash of
 * a transaction. A guess made in the browser, so that a secret is asked about before it leaves; it stops nobody who
 * insists.
 */
export function secretIn(text) {
  const plain = text
    .normalize("NFKC")
    .replace(/[\u200b-\u200f\u2060\ufeff]/g, "")
    .replace(/<[^>]{0,40}>/g, " ");
  if (KEYS.some((kind) => kind.test(plain))) return "key";
  if (phraseIn(plain.toLowerCase().replace(/[аеорсхуі]/g, (letter) => ALIKE[letter]))) return "phrase";
  if (!KEY_OR_HASH.test(plain)) return null;
  if (/private|secret|\bkey\b|私钥|私鑰|密钥|密鑰|秘钥/i.test(plain)) return "key";
  return /\btx|hash|transaction|transfer|交易|哈希|雜湊|转账|轉帳/i.test(plain) ? null : "maybe";
}

/** Eleven words in a row (of twelve, one may be mistyped) that all might be on the list, in whatever dress. */
function phraseIn(lower) {
  if (/(?:(?:^|[\s,，、;:.\d])[\u4e00-\u9fff](?=[\s,，、;:.\d]|$)[\s,，、;:.\d]*){11}/.test(lower)) return true;
  let run = 0;
  // Words, with the end of a sentence if one comes right behind, and whatever no list of words has between them.
  for (const [token, word, end] of lower.matchAll(/([a-z']+)([.!?](?=\s|$))?|[^\sa-z',;:>)(\]["\d.*•–—-]/g)) {
    if (word === "and") continue;
    run = /^[a-z]{3,8}$/.test(word ?? token) && !PROSE.has(word) ? run + 1 : 0;
    if (run === 11) return true;
    if (end) run = 0;
  }
  return false;
}

// -------------------------------------------------------------------------------------------------------------- memory

// The token lies in the host page's localStorage: a cookie of ours would be a third party's, which browsers throw away,
// and a session that ends with the tab would lose the conversation in every second visit. Scripts of that page can read
// it; what they could do with it they could do through the widget as well. Where storage is refused, memory has to do.
const memory = new Map();

function stored(name) {
  try {
    return JSON.parse(localStorage.getItem(`helpdesk.chat.${INBOX}.${name}`)) ?? memory.get(name) ?? null;
  } catch {
    return memory.get(name) ?? null;
  }
}

function store(name, value) {
  if (value === null) memory.delete(name);
  else memory.set(name, value);
  try {
    if (value === null) localStorage.removeItem(`helpdesk.chat.${INBOX}.${name}`);
    else localStorage.setItem(`helpdesk.chat.${INBOX}.${name}`, JSON.stringify(value));
  } catch {
    // Full, or refused: this page still has it.
  }
}

function storedNames(prefix) {
  const whole = `helpdesk.chat.${INBOX}.`;
  let kept = [];
  try {
    kept = Object.keys(localStorage)
      .filter((key) => key.startsWith(whole))
      .map((key) => key.slice(whole.length));
  } catch {
    // Memory only.
  }
  return [...new Set([...kept, ...memory.keys()])].filter((name) => name.startsWith(prefix));
}

// ---------------------------------------------------------------------------------------------------------------- HTTP

/** What the desk refused: `code` is the slug of its problem, or "network" where nothing came back. */
class Refused extends Error {
  constructor(code, wait = 0) {
    super(code);
    this.code = code;
    this.wait = wait;
  }
}

async function call(method, path, body, { token = session?.token, signal } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(API + path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refused("network");
  }
  if (!answer.ok) await refuse(answer, token);
  return answer;
}

const callJson = async (...how) => {
  const text = await (await call(...how)).text();
  return text ? JSON.parse(text) : null;
};

async function refuse(answer, token) {
  const problem = await answer.json().catch(() => ({}));
  const code =
    String(problem.type ?? "")
      .split(/[:/#]/)
      .pop() || `http-${answer.status}`;
  if (answer.status === 401 && token && token === session?.token) sessionEnded();
  throw new Refused(code, Number(answer.headers.get("Retry-After") ?? problem.retry_after) || 0);
}

// ------------------------------------------------------------------------------------------------------------- session

let config = null;
let session = null;
let beginning = null;

/** A session, begun when it is needed and not before: who only looks at the page leaves no trace at the desk. */
function begun(form = {}) {
  if (session) return Promise.resolve(session);
  beginning ??= callJson("POST", `${INBOX}/sessions`, { language, ...form }, { token: null })
    .then((opened) => adopt(opened))
    .finally(() => {
      beginning = null;
    });
  return beginning;
}

/** Take a session over: a new one, the same under another token, or one that another tab has begun. */
async function adopt(opened, subject = "") {
  session = { token: opened.token, visitor: opened.visitor, expires_at: opened.expires_at, subject };
  store("session", session);
  // Whoever is known may have said something before, though it is over.
  if (opened.conversation_id || opened.visitor.identified) await anew();
  else log = emptyLog();
  connect();
  return session;
}

/** The session goes on under a new token. The old one is spent by that, so what is open under it is closed before. */
async function renewed(path, body, subject) {
  disconnect();
  try {
    return await adopt(await callJson("POST", path, body), subject);
  } finally {
    connect();
  }
}

/** The desk no longer knows the token. Another tab may be just about to write down the one that came after it. */
async function sessionEnded() {
  const ended = session;
  disconnect();
  await new Promise((resolve) => {
    setTimeout(resolve, 1500);
  });
  if (session !== ended || follow()) return;
  const unsent = outbox.filter((entry) => entry.state !== "sent").map((entry) => entry.text);
  forget();
  ui.text.value = unsent.join("\n");
  notice = "expired";
  draw();
  tell("expired");
}

/** Take over what another tab has made of the session. Answers whether there was anything. */
function follow() {
  memory.delete("session");
  const other = stored("session");
  if (!other || other.token === session?.token) return false;
  disconnect();
  session = other;
  log = emptyLog();
  rows.clear();
  ui.log.replaceChildren();
  draw();
  resume();
  return true;
}

/** Nothing of this visitor stays in the browser. */
function forget() {
  disconnect();
  session = null;
  log = emptyLog();
  outbox = [];
  uploads = [];
  own.clear();
  mail = { step: "address", email: "" };
  for (const name of storedNames("")) if (name !== "sound") store(name, null);
  rows.clear();
  ui.log?.replaceChildren();
}

/** The host page says who is logged in there. The same user again costs nothing; another one ends this session. */
async function identify(identity) {
  let subject;
  try {
    const body = identity.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    subject = String(JSON.parse(atob(body)).sub);
  } catch {
    throw new TypeError("identify() takes a signed JWT");
  }
  await ready;
  if (session?.subject === subject) return;
  if (session?.subject) await logout();
  if (session) await renewed("session/identify", { identity }, subject);
  else await adopt(await callJson("POST", `${INBOX}/sessions`, { identity, language }, { token: null }), subject);
  draw();
}

async function logout() {
  const token = session?.token;
  forget();
  draw();
  if (token) await call("DELETE", "session", undefined, { token }).catch(() => {});
}

// ----------------------------------------------------------------------------------------------------------------- log

const emptyLog = () => ({ conversation: null, items: [], last: 0, more: false, read: 0 });

let log = emptyLog();
let attended = null;
let queue = null;
let writers = new Map();
let catching = null;
let catchAgain = false;

/** Forget what is shown and read the last page anew. */
async function reload() {
  const mine = session;
  const page = await callJson("GET", `messages?limit=${PAGE}`);
  if (mine !== session) return;
  log = { ...emptyLog(), conversation: page.conversation_id, more: page.more };
  for (const item of page.items) add(item);
  const kept = stored("read");
  const said = log.items.findLast((item) => item.message?.author.kind === "visitor");
  log.read = Math.max(kept?.conversation === log.conversation ? kept.seq : 0, said?.seq ?? 0);
  rows.clear();
  ui.log?.replaceChildren();
  draw({ toEnd: true });
}

const anew = () => reload().catch(() => reconnect());

async function loadEarlier() {
  const page = await callJson("GET", `messages?before_seq=${log.items[0]?.seq ?? 1}&limit=${PAGE}`);
  if (page.conversation_id !== log.conversation) return anew();
  log.items.unshift(...page.items);
  log.more = page.more;
  const below = ui.scroll.scrollHeight - ui.scroll.scrollTop;
  draw();
  ui.scroll.scrollTop = ui.scroll.scrollHeight - below;
}

/** Read what came after the last one that we have: the answer to a gap. */
function catchUp() {
  catchAgain = true;
  catching ??= (async () => {
    while (catchAgain && session) {
      catchAgain = false;
      const page = await callJson("GET", `messages?after_seq=${log.last}&limit=100`);
      if (page.conversation_id !== log.conversation && log.conversation) return anew();
      log.conversation = page.conversation_id;
      for (const item of page.items) heard(item, true);
      catchAgain ||= page.more;
    }
  })()
    .catch(() => reconnect())
    .finally(() => {
      catching = null;
    });
  return catching;
}

function add(item) {
  log.items.push(item);
  // What was said before a merge has numbers below zero.
  log.last = Math.max(log.last, item.seq);
  if (item.message?.client_id) settled(item.message.client_id);
}

/** An entry of the log, by whichever way it came. `sure`: it was read from the log itself, where nothing is missing. */
function heard(item, sure = false) {
  if (item.conversation_id && item.conversation_id !== log.conversation) {
    if (log.conversation !== null || item.prev_seq !== 0) return anew();
    log.conversation = item.conversation_id;
  }
  if (item.seq <= log.last) return undefined;
  if (!sure && item.prev_seq !== log.last) return catchUp();
  add(item);
  if (item.message && item.message.author.kind !== "visitor") {
    writers.clear();
    queue = null;
    if (!seen()) chime();
  }
  if (item.type === "agent.joined" || item.state) queue = null;
  if (over()) writers.clear();
  return draw();
}

const unread = () =>
  log.items.filter((i) => i.seq > log.read && i.message && i.message.author.kind !== "visitor").length;

const atEnd = () => ui.scroll && ui.scroll.scrollHeight - ui.scroll.scrollTop - ui.scroll.clientHeight < 60;

/** Whether what came last is in front of somebody's eyes. */
const seen = () => shown && document.visibilityState === "visible" && atEnd();

function markRead() {
  if (!session || !seen() || log.last <= log.read) return;
  const theirs = unread();
  log.read = log.last;
  store("read", { conversation: log.conversation, seq: log.read });
  if (theirs) tellRead();
}

// At once, and then twice a second at most: the desk takes thirty in ten seconds, and each tells of all before it.
let telling = 0;

function tellRead() {
  if (telling) return;
  const seq = log.read;
  say({ type: "read", seq }, "read", { seq });
  telling = setTimeout(() => {
    telling = 0;
    if (log.read > seq) tellRead();
  }, 500);
}

// -------------------------------------------------------------------------------------------------------------- outbox

// One entry of storage for each message, so that two tabs never write over one another's. Whichever tab sends it, the
// desk keeps one: it goes by `client_id`.
let outbox = [];
let flight = null;

function enqueue(text, files) {
  const id = `${Date.now().toString(36)}-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  const entry = { client_id: id, text, files, at: new Date().toISOString(), state: "waiting" };
  outbox.push(entry);
  keep(entry);
  draw({ toEnd: true });
  flush();
}

const keep = (entry) => store(`out.${entry.client_id}`, entry);

function restoreOutbox() {
  outbox = storedNames("out.")
    .map(stored)
    .filter(Boolean)
    .sort((a, b) => (a.at < b.at ? -1 : 1));
}

/** It is in the log. */
function settled(clientId) {
  if (flight?.id === clientId) landed();
  store(`out.${clientId}`, null);
  outbox = outbox.filter((entry) => entry.client_id !== clientId);
}

function landed() {
  clearTimeout(flight?.timer);
  flight = null;
}

/** Send the oldest that waits; the next one goes when this one is known to be kept, so that they stay in order. */
async function flush() {
  const entry = outbox.find((other) => other.state === "waiting");
  if (!entry || flight) return;
  if (!session) {
    begun().catch(() => reconnect());
    return;
  }
  if (link.state !== "open") return;
  const body = { client_id: entry.client_id, text: entry.text };
  if (entry.files.length) body.attachment_ids = entry.files.map((file) => file.id);
  flight = {
    id: entry.client_id,
    timer: setTimeout(() => {
      landed();
      reconnect();
    }, 15_000),
  };
  if (link.socket) {
    link.socket.send(JSON.stringify({ type: "message.send", ...body }));
    return;
  }
  try {
    acknowledged(await callJson("POST", "messages", body));
  } catch (error) {
    failed(entry.client_id, error.code, error.wait);
  }
}

function acknowledged({ client_id: id, conversation_id: conversation }) {
  if (flight?.id === id) landed();
  const entry = outbox.find((other) => other.client_id === id);
  if (entry) {
    entry.state = "sent";
    store(`out.${id}`, null);
  }
  draw();
  if (log.conversation && conversation !== log.conversation) anew();
  flush();
}

function failed(id, code, wait = 0) {
  if (flight?.id === id) landed();
  const entry = outbox.find((other) => other.client_id === id);
  if (!entry) return;
  if (["rate_limited", "too_many", "internal", "network", "unavailable"].includes(code)) {
    entry.note = code === "rate_limited" || code === "too_many" ? "tooFast" : undefined;
    setTimeout(
      () => {
        entry.note = undefined;
        flush();
      },
      1000 * (wait || 2 + 3 * Math.random()),
    );
  } else {
    Object.assign(entry, { state: "failed", note: code === "text_too_long" ? "tooLong" : undefined });
    keep(entry);
    flush();
  }
  draw();
}

// ---------------------------------------------------------------------------------------------------------- connection

// A WebSocket; where something in between does not let it through, a stream by fetch; where that is held back, polling.
const WAYS = [openSocket, openStream, openPoll];
const link = {
  state: "idle",
  way: 0,
  tries: 0,
  unwelcome: 0,
  socket: null,
  control: null,
  timers: [],
  last: 0,
  hold: 0,
};

function connect() {
  if (!session || link.state === "open" || link.state === "opening") return;
  clearTimeout(link.again);
  Object.assign(link, { state: "opening", control: new AbortController() });
  WAYS[link.way](link.control.signal);
}

function disconnect() {
  clearTimeout(link.again);
  for (const timer of link.timers) clearTimeout(timer);
  const { socket, control } = link;
  Object.assign(link, { state: "idle", socket: null, control: null, timers: [] });
  landed();
  writers.clear();
  control?.abort();
  socket?.close(1000);
}

/** After a random part of 1, 2, 4 … 30 seconds: a thousand that were cut off together do not return together. */
function reconnect(most = Math.min(MOST_SECONDS_AWAY, 2 ** link.tries), least = 0) {
  disconnect();
  link.tries += 1;
  link.hold = Date.now() + 1000 * least;
  link.again = setTimeout(() => (session ? connect() : flush()), 1000 * (least + Math.random() * most));
  draw();
}

function welcome() {
  Object.assign(link, { state: "open", tries: 0, unwelcome: 0, last: Date.now() });
  if (notice === "replaced") notice = "";
  draw();
  flush();
  markRead();
}

/**
 * Nothing was said on this way. After the second time the next one is tried, and after the last the first again; but only
 * if the desk answers at all: while it is away no way is better than another.
 */
function unwelcome() {
  link.unwelcome += 1;
  if (link.unwelcome < 2) return;
  call("GET", `${INBOX}/config`, undefined, { token: null }).then(
    () => {
      link.way = (link.way + 1) % WAYS.length;
      link.unwelcome = 0;
    },
    () => {},
  );
}

function openSocket() {
  let socket;
  try {
    socket = new WebSocket(`${API.replace(/^http/, "ws")}ws`, "helpdesk.chat.v1");
  } catch {
    // The page's policy forbids it.
    link.way = 1;
    return reconnect(0);
  }
  link.socket = socket;
  const mine = () => link.socket === socket;
  link.timers.push(setTimeout(() => mine() && link.state === "opening" && socket.close(), 10_000));
  socket.onopen = () => {
    const hello = { type: "hello", token: session.token };
    if (log.conversation) hello.resume = { conversation_id: log.conversation, last_seq: log.last };
    socket.send(JSON.stringify(hello));
  };
  socket.onmessage = ({ data }) => mine() && received(JSON.parse(data));
  socket.onclose = ({ code }) => mine() && closed(code);
  return undefined;
}

function closed(code) {
  if (link.state === "opening" && code === 1006) unwelcome();
  if (code === 4001) {
    disconnect();
    sessionEnded();
  } else if (code === 4003 || code === 4009) {
    disconnect();
    notice = code === 4009 ? "replaced" : "trouble";
    draw();
  } else if (code === 4029) reconnect(5, 60);
  else if (code === 4000 || code === 1003 || code === 1007 || code === 1009) reconnect(MOST_SECONDS_AWAY, 5);
  else if (link.state === "open" && [1000, 1001, 1012, 4008].includes(code)) reconnect(1);
  else reconnect();
}

async function openStream(signal) {
  try {
    const where = log.conversation ? `&conversation_id=${log.conversation}` : "";
    const answer = await call("GET", `events?after_seq=${log.last}${where}`, undefined, { signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    link.timers.push(setTimeout(() => link.state === "opening" && link.control?.abort(), 10_000));
    for (let rest = ""; ;) {
      const { value, done } = await reader.read();
      if (done) break;
      if (link.state === "opening") welcome();
      link.last = Date.now();
      const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block
          .split("\n")
          .filter((line) => line.startsWith("data:"))
          .map((line) => line.slice(5))
          .join("\n");
        if (data && !signal.aborted) received(JSON.parse(data));
      }
    }
    throw new Refused("network");
  } catch {
    if (link.control?.signal !== signal) return;
    if (link.state === "opening") unwelcome();
    reconnect();
  }
}

async function openPoll(signal) {
  try {
    for (let wait = 0; ; wait = 25) {
      const patience = AbortSignal.any?.([signal, AbortSignal.timeout(SILENCE)]) ?? signal;
      const page = await callJson("GET", `messages?after_seq=${log.last}&limit=100&wait=${wait}`, undefined, {
        signal: patience,
      });
      if (page.conversation_id !== log.conversation && log.conversation) await reload();
      else for (const item of page.items) heard({ ...item, conversation_id: page.conversation_id }, true);
      if (link.state === "opening") welcome();
      link.last = Date.now();
    }
  } catch {
    if (link.control?.signal !== signal) return;
    if (link.state === "opening") unwelcome();
    reconnect();
  }
}

/** A frame of the desk. Names that we do not know are of a later version and mean nothing to us. */
function received(frame) {
  link.last = Date.now();
  const deeds = {
    "welcome": () => {
      session = { ...session, visitor: frame.visitor };
      welcome();
      const seconds = frame.heartbeat_s || 25;
      link.timers.push(
        setInterval(() => {
          if (Date.now() - link.last > SILENCE) reconnect();
          else link.socket?.send(JSON.stringify({ type: "ping", last_seq: log.last }));
        }, 1000 * seconds),
      );
    },
    "resync": anew,
    "message.new": () => heard(frame),
    "conversation.state": () => heard(frame),
    "agent.joined": () => heard(frame),
    "message.ack": () => acknowledged(frame),
    "typing": () => wrote(frame),
    "presence": () => {
      attended = frame.attended;
      configAt = 0;
      if (shown) refreshConfig();
    },
    "queue": () => {
      queue = frame.position > 0 ? frame : null;
    },
    "ping": () => frame.head_seq > log.last && catchUp(),
    "pong": () => frame.head_seq > log.last && catchUp(),
    "closed": () => closed(frame.code),
    "error": () => frame.client_id && failed(frame.client_id, frame.code, frame.retry_after),
  };
  if (Object.hasOwn(deeds, frame.type)) deeds[frame.type]();
  draw();
}

/** What may be lost: over the socket where there is one, else by its route. */
function say(frame, path, body) {
  if (link.state !== "open") return;
  if (link.socket) link.socket.send(JSON.stringify(frame));
  else call("POST", path, body).catch(() => {});
}

function wrote({ name, ttl }) {
  writers.delete(name);
  if (ttl <= 0) return;
  const stop = () => {
    if (writers.get(name) !== timer) return;
    writers.delete(name);
    draw();
  };
  const timer = setTimeout(stop, 1000 * ttl);
  writers.set(name, timer);
}

let typedAt = 0;

function typing(now) {
  if (now ? Date.now() - typedAt < 3000 : !typedAt) return;
  typedAt = now ? Date.now() : 0;
  const ttl = now ? 6 : 0;
  say({ type: "typing", ttl }, "typing", { ttl });
}

/** The page is looked at again, or the network is back: find out at once whether the connection still lives. */
function awake() {
  if (notice === "replaced" || Date.now() < link.hold) return;
  if (link.state === "open" && link.socket) {
    const before = link.last;
    link.socket.send(JSON.stringify({ type: "ping", last_seq: log.last }));
    link.timers.push(setTimeout(() => link.last === before && reconnect(0), 4000));
  } else if (link.state !== "open") {
    link.tries = 0;
    if (link.state === "idle") connect();
  }
  markRead();
}

// --------------------------------------------------------------------------------------------------------------- files

let uploads = [];
// What this page has uploaded itself, it need not fetch.
const own = new Map();

function attach(files) {
  for (const file of files) {
    if (uploads.length >= config.limits.uploads) {
      flash("uploadMany", { n: config.limits.uploads });
      break;
    }
    if (file.size > config.limits.upload) flash("uploadLarge", { name: file.name, size: sized(config.limits.upload) });
    else upload({ file, filename: file.name || "image.png", share: 0 });
  }
  draw();
}

async function upload(entry) {
  uploads.push(entry);
  try {
    await begun();
    Object.assign(entry, await transfer(entry), { share: 1 });
    own.set(entry.id, entry.file);
  } catch (error) {
    uploads = uploads.filter((other) => other !== entry);
    if (!entry.removed) flash(isTooMany(error) ? "slower" : "uploadFailed", { name: entry.filename });
  }
  draw();
}

/** By XMLHttpRequest: fetch does not tell how far an upload is. */
function transfer(entry) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", entry.file, entry.filename);
    entry.request = request;
    request.open("POST", `${API}attachments`);
    request.setRequestHeader("Authorization", `Bearer ${session.token}`);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => {
      entry.share = Math.min(0.99, loaded / total); // all of it is sent, and not yet taken
      draw();
    };
    request.onload = () => {
      if (request.status === 201) resolve(request.response);
      else
        reject(
          new Refused(
            String(request.response?.type ?? "")
              .split(":")
              .pop(),
          ),
        );
    };
    request.onerror = request.onabort = () => reject(new Refused("network"));
    request.send(form);
  });
}

function detach(entry) {
  entry.removed = true;
  entry.request?.abort();
  uploads = uploads.filter((other) => other !== entry);
  draw();
  ui.text.focus();
}

const fetchFile = async (file) => own.get(file.id) ?? (await call("GET", `attachments/${file.id}`)).blob();

/** The token is in a header, so a link could not fetch it: it is fetched here and handed to the browser. */
async function download(file) {
  try {
    const url = URL.createObjectURL(await fetchFile(file));
    h("a", { href: url, download: file.filename }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch {
    flash("downloadFailed");
  }
}

/**
 * A picture is decoded and painted: only pixels get into the page, a policy without `img-src blob:` does not mind, and
 * nothing has to be revoked.
 */
async function paint(file, canvas) {
  const picture = await createImageBitmap(await fetchFile(file));
  const scale = Math.min(1, 480 / picture.width, 480 / picture.height);
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
}

const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const isPicture = (file) => PICTURES.includes(file.content_type) && file.size < 12_000_000;

function sized(bytes) {
  const [unit, count] = bytes < 1e6 ? ["kilobyte", Math.max(1, bytes / 1e3)] : ["megabyte", bytes / 1e6];
  return new Intl.NumberFormat(language, { style: "unit", unit, maximumFractionDigits: count < 10 ? 1 : 0 }).format(
    count,
  );
}

// ------------------------------------------------------------------------------------------------------------ the page

const ui = {};
const rows = new Map();
let shown = false;
let notice = "";
let mail = { step: "address", email: "" };
let rated = null;

/** An element. Attributes are set as attributes, `on…` are listeners, strings become text, whatever is in them. */
export function h(tag, attributes = {}, ...children) {
  const element = SHAPES.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SHAPES = new Set(["svg", "path"]);
const ICONS = {
  chat: "M4 5.5h16v11H10l-4.5 4v-4H4z M8 9.5h8 M8 12.5h5",
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9.5l6 6 6-6",
  send: "M4.5 12L4 5l16.5 7L4 19l.5-7zM4.5 12H12",
  clip: "M20 11.5l-7.8 7.8a5 5 0 01-7-7l8.4-8.5a3.3 3.3 0 014.7 4.7l-8.2 8.2a1.6 1.6 0 01-2.3-2.3l7.2-7.2",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  file: "M6.5 3.5h7l4 4v13h-11zM13.5 3.5v4h4",
  star: "M12 3.6l2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.7-5.2 2.7 1-5.8-4.2-4.1 5.8-.8z",
  shield: "M12 3.5l7 2.6v5.2c0 4.3-2.9 7.6-7 9.2-4.1-1.6-7-4.9-7-9.2V6.1z M12 8.5v4.5 M12 16h.01",
  clock: "M12 3.5a8.5 8.5 0 100 17 8.5 8.5 0 000-17z M12 7.5V12l3 2",
  check: "M5 12.5l4.5 4.5L19 7.5",
  mail: "M3.5 6h17v12h-17z M3.5 7l8.5 6 8.5-6",
};

export const icon = (name) => h("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, h("path", { d: ICONS[name] }));
const button = (kind, label, onclick, ...children) =>
  h(
    "button",
    { type: "button", class: kind, onclick, ...(children.length ? { "aria-label": label, title: label } : {}) },
    ...(children.length ? children : [label]),
  );

function put(parent, ...children) {
  parent.replaceChildren(...children.filter(Boolean));
  parent.hidden = !parent.childNodes.length;
}

/** Text with its links. A link shows where it leads: all of it, and in the letters that the browser will ask for. */
function prose(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(
    /https?:\/\/[^\s<>"'`\u200b-\u200f\u202a-\u202e\u2066-\u2069\u3000-\u303f\uff00-\uffef]+/gi,
  )) {
    const shownUrl = found[0].replace(/[.,;:!?)\]}]+$/, "");
    let url;
    try {
      url = new URL(shownUrl);
    } catch {
      continue;
    }
    if (url.username || url.password) continue;
    parts.push(
      text.slice(end, found.index),
      h(
        "a",
        {
          href: url.href,
          target: "_blank",
          rel: "noopener noreferrer nofollow",
        },
        shownUrl.toLowerCase().includes(url.host) ? shownUrl : url.href,
      ),
    );
    end = found.index + shownUrl.length;
  }
  return [...parts, text.slice(end)];
}

// Making one takes longer than using it a hundred times.
const formats = new Map();

function formatted(at, options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(language, options));
  return formats.get(key).format(at);
}

const clock = (at) => formatted(new Date(at), { hour: "numeric", minute: "2-digit" });

function day(at) {
  const date = new Date(at);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 864e5);
  if (days === 0 || days === 1) return t(days ? "yesterday" : "today");
  const year = days > 300 ? { year: "numeric" } : {};
  return formatted(date, { weekday: "short", day: "numeric", month: "long", ...year });
}

function soon(at) {
  const date = new Date(at);
  const far = date - Date.now() > 6 * 864e5 ? { day: "numeric", month: "long" } : {};
  return t("yourTime", { when: formatted(date, { weekday: "long", hour: "numeric", minute: "2-digit", ...far }) });
}

// ----------------------------------------------------------------------------------------------------- rows of the log

/** What is told of an entry that is no message, if anything. */
function lineOf(item) {
  if (item.type === "agent.joined") return t("joined", { name: item.name });
  return { resolved: t("resolved"), closed: t("ended") }[item.state];
}

/**
 * What the log shows, in order: `[key, make, update?]`. What was there before keeps its element, so that it is not read
 * out again.
 */
function wanted() {
  const all = [];
  const waiting = outbox.map((entry) => ({
    entry,
    message: { author: { kind: "visitor" }, created_at: entry.at, ...entry, attachments: entry.files },
  }));
  const entries = [...log.items.filter((item) => item.message || lineOf(item)), ...waiting];
  let before = null;
  let date = "";
  for (const [at, { seq, message, entry, ...item }] of entries.entries()) {
    if (!message) {
      all.push([`seq-${seq}`, () => h("p", { class: "line" }, lineOf(item))]);
      before = null;
      continue;
    }
    const today = day(message.created_at);
    if (today !== date) {
      all.push([`day-${today}`, () => h("p", { class: "line day" }, today)]);
      date = today;
      before = null;
    }
    const first = !before || !together(before, message);
    const next = entries[at + 1]?.message;
    const last = !next || !together(message, next);
    const key = message.client_id || `seq-${seq}`;
    all.push([key, () => bubble(message), (row) => dress(row, message, entry, first, last)]);
    before = message;
  }
  return all;
}

const together = (one, other) =>
  one.author.kind === other.author.kind &&
  (one.author.kind === "visitor" || one.author.name === other.author.name) &&
  new Date(other.created_at) - new Date(one.created_at) < 5 * 60_000;

const authorOf = ({ kind, name }) => (kind === "visitor" ? t("you") : name || t(kind === "bot" ? "bot" : "support"));

function bubble(message) {
  const mine = message.author.kind === "visitor";
  const name = authorOf(message.author);
  return h(
    "div",
    { class: `row ${mine ? "mine" : "theirs"}` },
    mine ? null : h("span", { class: "face", "aria-hidden": "true" }, [...name][0].toUpperCase()),
    h(
      "div",
      { class: "stack" },
      h("p", { class: "who" }, name),
      message.text ? h("div", { class: "bubble" }, ...prose(message.text)) : null,
      ...(message.attachments ?? []).map(attachment),
      h("p", { class: "foot" }),
    ),
  );
}

function dress(row, message, entry, first, last) {
  row.classList.toggle("first", first);
  row.classList.toggle("last", last);
  const foot = row.querySelector(".foot");
  const state = entry ? entry.state : "sent";
  const sign = `${state} ${entry?.note} ${last}`;
  if (foot.dataset.sign === sign) return;
  foot.dataset.sign = sign;
  row.dataset.state = state;
  const time = h("time", { datetime: message.created_at }, clock(message.created_at));
  if (state === "failed") {
    put(
      foot,
      h("span", { class: "wrong" }, t(entry.note ?? "failed", { n: config.limits.text })),
      button("link", t("retry"), () => {
        Object.assign(entry, { state: "waiting", note: undefined });
        keep(entry);
        draw();
        flush();
      }),
      button("link", t("discard"), () => {
        settled(entry.client_id);
        draw();
        ui.text.focus();
      }),
    );
  } else if (state === "waiting") put(foot, h("span", {}, t(entry.note ?? "waiting")), icon("clock"));
  else if (row.classList.contains("mine"))
    put(
      foot,
      last ? time : null,
      last ? h("span", { class: "tick", role: "img", "aria-label": t("sent") }, icon("check")) : null,
    );
  else put(foot, last ? time : null, last && message.channel === "email" ? h("span", {}, t("byMail")) : null);
}

function attachment(file) {
  const card = h(
    "button",
    {
      type: "button",
      class: "file",
      onclick: () => download(file),
      "aria-label": t("download", { name: file.filename }),
    },
    icon("file"),
    h("span", { class: "filename" }, file.filename),
    h("span", { class: "size" }, sized(file.size)),
  );
  if (isPicture(file)) {
    const canvas = h("canvas", { class: "picture", role: "presentation" });
    new IntersectionObserver(([{ isIntersecting }], watch) => {
      if (!isIntersecting) return;
      watch.disconnect();
      const end = atEnd();
      paint(file, canvas)
        .then(() => {
          card.classList.add("painted");
          card.prepend(canvas);
          if (end) toEnd();
        })
        .catch(() => {});
    }).observe(card);
  }
  return card;
}

const toEnd = () => {
  ui.scroll.scrollTop = ui.scroll.scrollHeight;
};

function drawLog() {
  const list = wanted();
  const keys = new Set(list.map(([key]) => key));
  for (const [key, row] of rows) {
    if (!keys.has(key)) {
      row.remove();
      rows.delete(key);
    }
  }
  list.forEach(([key, make, update], at) => {
    let row = rows.get(key);
    if (!row) rows.set(key, (row = make()));
    update?.(row);
    if (ui.log.children[at] !== row) ui.log.insertBefore(row, ui.log.children[at] ?? null);
  });
}

// -------------------------------------------------------------------------------------------------- parts of the panel

function field(name, { required = false, options, value = "", ...more } = {}) {
  const id = `f-${name}`;
  const about = { id, name, required, "aria-describedby": `${id}-e` };
  const control = options
    ? h(
        "select",
        about,
        h("option", { value: "" }, t("choose")),
        ...options.map((option) => h("option", { value: option.value }, named(option.name))),
      )
    : h("input", {
        ...about,
        type: name === "email" ? "email" : "text",
        maxlength: 200,
        value,
        autocomplete: { name: "name", email: "email", code: "one-time-code" }[name] ?? "off",
        ...(["transaction_hash", "wallet_address"].includes(name)
          ? { spellcheck: "false", autocapitalize: "off" }
          : {}),
        ...more,
      });
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, t(name), required ? null : h("span", { class: "soft" }, ` (${t("optional")})`)),
    control,
    h("p", { class: "wrong", id: `${id}-e`, role: "alert", hidden: true }),
  );
}

/** What is wrong with a form, said at the field and in our words; the first one is focused. */
function wrongs(form, found) {
  for (const control of form.querySelectorAll("input, select")) {
    const words = found[control.name];
    const place = form.querySelector(`#f-${control.name}-e`);
    place.textContent = words ?? "";
    place.hidden = !words;
    if (words) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
  form.querySelector("[aria-invalid]")?.focus();
  return Object.keys(found).length > 0;
}

const isEmail = (text) => /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text);
const isTooMany = ({ code }) => ["too_many", "rate_limited"].includes(code);
const why = (error) => t(isTooMany(error) ? "slower" : "trouble");
const formOf = (kind, onsubmit, ...children) =>
  h(
    "form",
    {
      class: kind,
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        onsubmit(event.target);
      },
    },
    ...children,
  );
const primary = (label) => h("button", { type: "submit", class: "primary" }, label);

async function busy(form, deed) {
  const press = form.querySelector(".primary");
  if (press.getAttribute("aria-disabled")) return;
  press.setAttribute("aria-disabled", "true");
  try {
    await deed();
  } finally {
    press.removeAttribute("aria-disabled");
  }
}

function prechatForm() {
  const fields = config.prechat.map((given) => field(given.name, given));
  return formOf(
    "prechat",
    async (form) => {
      const values = Object.fromEntries(
        [...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value),
      );
      const found = {};
      for (const { name, required } of config.prechat) {
        if (required && !values[name]) found[name] = t("required");
        else if (name === "email" && values.email && !isEmail(values.email)) found.email = t("wrongEmail");
      }
      if (wrongs(form, found)) return;
      const secret = Object.entries(values).some(([name, value]) =>
        name === "transaction_hash" ? secretIn(value) === "phrase" : secretIn(value),
      );
      if (secret && !(await askAboutSecret("phrase"))) {
        for (const control of form.querySelectorAll("input")) if (secretIn(control.value)) control.value = "";
        return;
      }
      await busy(form, () =>
        begun({ prechat: values })
          .then(() => {
            notice = "";
            mail.email = values.email ?? "";
            draw({ toEnd: true });
            focusIn();
          })
          .catch((error) => flash(isTooMany(error) ? "slower" : "trouble")),
      );
    },
    h("p", { class: "lead" }, named(config.greeting) || t("hello")),
    h("p", { class: "soft" }, t("formHint")),
    ...fields,
    primary(t("start")),
  );
}

/** The address for what he will not read here: named, then proved by a code, and only then used. */
function mailCard() {
  if (mail.step === "code") {
    return formOf(
      "card",
      (form) => {
        const code = form.elements.code.value.replace(/\D/g, "");
        if (wrongs(form, code.length === 6 ? {} : { code: t("codeWrong") })) return;
        busy(form, () =>
          renewed("email/verify", { code }, session.subject)
            .then(() => {
              mail.asked = false;
              draw();
              ui.text.focus();
            })
            .catch((error) => wrongs(form, { code: error.code === "proof_refused" ? t("codeWrong") : why(error) })),
        );
      },
      h("h3", {}, t("mailTitle")),
      h("p", { class: "soft" }, t("codeHint", { email: mail.email })),
      field("code", { required: true, inputmode: "numeric", maxlength: 7 }),
      h(
        "div",
        { class: "buttons" },
        primary(t("confirm")),
        button("link", t("other"), () => {
          mail.step = "address";
          draw();
        }),
      ),
    );
  }
  return formOf(
    "card",
    (form) => {
      const email = form.elements.email.value.trim();
      if (wrongs(form, isEmail(email) ? {} : { email: t("wrongEmail") })) return;
      busy(form, () =>
        begun()
          .then(() => callJson("POST", "email", { email }))
          .then(() => {
            mail = { ...mail, step: "code", email };
            draw();
            ui.mail.querySelector("input")?.focus();
          })
          .catch((error) => wrongs(form, { email: why(error) })),
      );
    },
    h("h3", {}, t("mailTitle")),
    h("p", { class: "soft" }, t("mailHint")),
    field("email", { required: true, value: mail.email }),
    primary(t("sendCode")),
  );
}

function ratingCard(seq) {
  const star = (score) =>
    h(
      "label",
      { class: "star" },
      h("input", { type: "radio", name: "score", value: score, "aria-label": t(`rate${score}`) }),
      icon("star"),
    );
  return formOf(
    "card rating",
    (form) => {
      const score = Number(new FormData(form).get("score"));
      if (!score) return form.querySelector("input").focus();
      return busy(form, () =>
        callJson("POST", "rating", { score, comment: form.elements.comment.value.trim() })
          .then(() => {
            rated = seq;
            store("rated", seq);
            draw();
            flash("thanks");
            ui.text.focus();
          })
          .catch((error) => {
            if (error.code === "rating_unavailable") rated = seq;
            flash("trouble");
            draw();
          }),
      );
    },
    h("fieldset", {}, h("legend", {}, t("rateTitle")), h("div", { class: "stars" }, ...[1, 2, 3, 4, 5].map(star))),
    h("label", { for: "f-comment", class: "soft" }, t("comment")),
    h("textarea", { id: "f-comment", name: "comment", rows: 2, maxlength: 2000 }),
    primary(t("rateSend")),
  );
}

/** A question that has to be answered first, over the panel. Answers true, or false for no and for Escape. */
function ask({ title, text, yes, no, grave = false }) {
  const back = ui.root.activeElement;
  return new Promise((resolve) => {
    const answer = (value) => {
      put(ui.sheet);
      ui.main.inert = false;
      ui.answer = null;
      back?.focus();
      resolve(value);
    };
    ui.answer = answer;
    ui.main.inert = true;
    // The harmless answer comes first, and a secret is sent by none of the keys that one presses without reading.
    put(
      ui.sheet,
      h(
        "div",
        {
          class: "ask",
          role: "alertdialog",
          "aria-modal": "true",
          "aria-labelledby": "ask-t",
          "aria-describedby": "ask-d",
        },
        grave ? icon("shield") : null,
        h("h2", { id: "ask-t" }, title),
        h("p", { id: "ask-d" }, text),
        h(
          "div",
          { class: "buttons" },
          button("primary", no, () => answer(false)),
          button("link", yes, () => answer(true)),
        ),
      ),
    );
    ui.sheet.querySelector("button").focus();
  });
}

const askAboutSecret = (kind) =>
  ask(
    kind === "maybe"
      ? { title: t("maybeTitle"), text: t("maybeText"), yes: t("maybeSend"), no: t("secretDrop"), grave: true }
      : { title: t("secretTitle"), text: t("secretText"), yes: t("secretSend"), no: t("secretDrop"), grave: true },
  );

async function submit() {
  const text = ui.text.value.trim();
  const files = uploads.filter((entry) => entry.id);
  if ((!text && !files.length) || uploads.length > files.length) return;
  if (text.length > config.limits.text) return flash("tooLong", { n: config.limits.text });
  const secret = secretIn(text);
  if (secret && !(await askAboutSecret(secret))) {
    ui.text.value = "";
    grow();
    return undefined;
  }
  ui.text.value = "";
  uploads = [];
  notice = "";
  typing(false);
  grow();
  unlockSound();
  enqueue(
    text,
    files.map(({ id, filename, content_type, size }) => ({ id, filename, content_type, size })),
  );
  ui.text.focus();
  return undefined;
}

function grow() {
  ui.text.style.setProperty("height", "auto");
  ui.text.style.setProperty("height", `${Math.min(ui.text.scrollHeight + 2, 140)}px`);
}

/** Say something for some seconds. */
function flash(key, values) {
  put(ui.flash, t(key, values));
  clearTimeout(ui.flashing);
  ui.flashing = setTimeout(() => put(ui.flash), 6000);
}

// ------------------------------------------------------------------------------------------------------ menu and sound

let sound = false;
let audio = null;

function unlockSound() {
  if (sound) audio ??= new AudioContext();
}

/** Two soft tones: made here, so that no file has to be loaded. */
function chime() {
  if (!sound || !audio) return;
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  const now = audio.currentTime;
  tone.frequency.setValueAtTime(660, now);
  tone.frequency.setValueAtTime(880, now + 0.12);
  volume.gain.setValueAtTime(0.08, now);
  volume.gain.exponentialRampToValueAtTime(0.001, now + 0.4);
  tone.connect(volume).connect(audio.destination);
  tone.start(now);
  tone.stop(now + 0.4);
}

function toggleMenu(open = ui.menu.hidden) {
  ui.menu.hidden = !open;
  ui.more.setAttribute("aria-expanded", String(open));
  if (!open) return;
  const entry = (key, deed) =>
    button("", t(key), () => {
      toggleMenu(false);
      ui.more.focus();
      deed();
    });
  put(
    ui.menu,
    h(
      "button",
      {
        type: "button",
        role: "switch",
        "aria-checked": String(sound),
        onclick: ({ currentTarget }) => {
          sound = !sound;
          store("sound", sound);
          unlockSound();
          chime();
          currentTarget.setAttribute("aria-checked", String(sound));
        },
      },
      t("sound"),
      h("span", { class: "switch", "aria-hidden": "true" }),
    ),
    log.conversation && config.continued ? entry("transcript", transcript) : null,
    session && config.continued && !session.visitor.email ? entry("mailTitle", askMail) : null,
    log.conversation && !over() ? entry("leave", leave) : null,
  );
  ui.menu.querySelector("button").focus();
}

function askMail() {
  mail.asked = true;
  draw({ toEnd: true });
  ui.mail.querySelector("input")?.focus();
}

async function transcript() {
  if (!session.visitor.email) {
    askMail();
    return flash("transcriptMail");
  }
  return callJson("POST", "transcript").then(
    () => flash("transcriptDone"),
    (error) => flash(isTooMany(error) ? "slower" : "trouble"),
  );
}

async function leave() {
  if (!(await ask({ title: t("leaveAsk"), text: t("leaveHint"), yes: t("leave"), no: t("cancel") }))) return;
  callJson("POST", "leave").then(
    () => catchUp(),
    () => flash("trouble"),
  );
}

const lastState = () => log.items.findLast((item) => item.state || item.message?.author.kind === "visitor");
const over = () => ["resolved", "closed"].includes(lastState()?.state);

// ------------------------------------------------------------------------------------------------------------- drawing

let drawing = null;

/** Bring the page up to date, once for all that happens at a time. */
function draw({ toEnd: end = false } = {}) {
  if (!ui.root) return;
  if (drawing) {
    drawing.end ||= end;
    return;
  }
  drawing = { end: end || atEnd() };
  queueMicrotask(() => {
    const follow = drawing.end;
    drawing = null;
    drawAll();
    if (follow) toEnd();
    ui.newest.hidden = follow || !unread();
    markRead();
    drawBadge();
  });
}

let told = 0;

function drawBadge() {
  const count = unread();
  put(ui.badge, count ? String(Math.min(count, 99)) : "");
  ui.launcher.setAttribute(
    "aria-label",
    shown ? t("close") : count ? `${t("open")}. ${t("unread", { n: count })}` : t("open"),
  );
  if (count !== told) {
    told = count;
    tell("unread", { count });
  }
}

function drawAll() {
  const form = !session && config.prechat.length > 0;
  drawStatus();
  if (form !== Boolean(ui.form.childNodes.length) || ui.form.dataset.language !== language) {
    ui.form.dataset.language = language;
    put(ui.form, form ? prechatForm() : null);
  }
  ui.compose.hidden = form;
  drawLog();
  ui.hello.hidden = form || log.more;
  ui.earlier.hidden = !log.more;
  drawCards(form);
  put(ui.chips, ...uploads.map(chip));
  put(
    ui.writing,
    ...(writers.size
      ? [
          h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
          t("typing", { name: [...writers.keys()].join(", ") }),
        ]
      : []),
  );
  ui.submit.setAttribute("aria-disabled", String(uploads.some((entry) => !entry.id)));
}

function drawStatus() {
  const { open, next_open_at: next } = config.hours;
  const here = open && (attended ?? config.attended);
  ui.status.dataset.here = String(here);
  ui.status.textContent = here
    ? t("attended")
    : open
      ? t("unattended")
      : next
        ? t("closedUntil", { when: soon(next) })
        : t("closed");
  const minutes = Math.max(1, Math.round((queue?.eta ?? 0) / 60));
  const cut = session && link.state !== "open" && (link.tries > 1 || !navigator.onLine);
  const line =
    cut || notice === "replaced"
      ? t(cut ? "reconnecting" : notice)
      : notice
        ? t(notice)
        : queue
          ? t(queue.eta === null || queue.eta === undefined ? "queue" : "queueEta", { n: queue.position, m: minutes })
          : "";
  if (ui.line.dataset.line === line) return;
  ui.line.dataset.line = line;
  put(
    ui.line,
    line,
    notice === "replaced"
      ? button("link", t("here"), () => {
          notice = "";
          connect();
          draw();
        })
      : null,
  );
}

function drawCards(form) {
  const away = !config.hours.open || !(attended ?? config.attended);
  const wants =
    config.continued &&
    !form &&
    !session?.visitor.email &&
    (mail.asked || (away && (log.items.length || outbox.length || !config.prechat.length)));
  const sign = wants ? mail.step + language : "";
  if (ui.mail.dataset.sign !== sign) {
    ui.mail.dataset.sign = sign;
    put(ui.mail, wants ? mailCard() : null);
  }
  const proved = away && session?.visitor.email;
  put(
    ui.proved,
    ...(proved && config.continued ? [icon("mail"), t("mailDone", { email: session.visitor.email })] : []),
  );
  const state = lastState();
  const asks =
    state?.state === "resolved" && state.rating && state.seq !== (rated ?? stored("rated")) ? String(state.seq) : "";
  if (ui.rating.dataset.seq !== asks) {
    ui.rating.dataset.seq = asks;
    put(ui.rating, asks ? ratingCard(state.seq) : null);
  }
}

function chip(entry) {
  const share = Math.round(100 * entry.share);
  const bar = h("span", { class: "bar", "aria-hidden": "true" });
  bar.style.setProperty("width", `${share}%`);
  return h(
    "li",
    {},
    h("span", { class: "filename" }, entry.filename),
    h("span", { class: "hidden" }, share < 100 ? t("uploading", { name: entry.filename, n: share }) : ""),
    button("icon", t("remove", { name: entry.filename }), () => detach(entry), icon("close")),
    bar,
  );
}

// ------------------------------------------------------------------------------------------ building, opening, closing

function build() {
  const host = (ui.host = document.createElement("helpdesk-chat"));
  const root = (ui.root = host.attachShadow({ mode: "open" }));
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  root.adoptedStyleSheets = [sheet];
  host.style.setProperty("--accent", config.color);
  host.style.setProperty("--on-accent", readable(config.color));
  ui.badge = h("span", { class: "badge", "aria-hidden": "true", hidden: true });
  const opens = { type: "button", class: "launcher", "aria-expanded": "false", "aria-controls": "panel" };
  ui.launcher = h(
    "button",
    { ...opens, onclick: () => (shown ? close() : open()) },
    icon("chat"),
    icon("down"),
    ui.badge,
  );
  ui.line = h("p", { class: "notice", role: "status", hidden: true });
  ui.flash = h("p", { class: "notice", role: "status", hidden: true });
  ui.newest = button("newest", t("newest"), () => {
    toEnd();
    draw();
    ui.text.focus();
  });
  ui.newest.hidden = true;
  ui.sheet = h("div", { class: "sheet", hidden: true });
  ui.main = h(
    "div",
    { class: "main" },
    head(),
    ui.line,
    ui.flash,
    middle(),
    ui.newest,
    h("p", { class: "safety" }, icon("shield"), h("span", {}, t("safety"))),
    composer(),
    h("p", { class: "dropping", "aria-hidden": "true" }, t("drop")),
  );
  ui.panel = h(
    "section",
    {
      class: "panel",
      id: "panel",
      role: "dialog",
      "aria-labelledby": "title",
      tabindex: "-1",
      hidden: true,
      onkeydown: caught,
      ondragover: dragged,
      ondragleave: dragged,
      ondrop: dragged,
    },
    ui.main,
    ui.sheet,
  );
  root.append(h("div", { class: "widget", lang: language }, ui.panel, ui.launcher));
  document.body.append(host);
}

function head() {
  ui.status = h("p", { class: "status" });
  ui.menu = h("div", { class: "menu", id: "menu", hidden: true });
  ui.more = button("icon", t("menu"), () => toggleMenu(), icon("more"));
  ui.more.setAttribute("aria-expanded", "false");
  ui.more.setAttribute("aria-controls", "menu");
  const names = h("div", {}, h("h2", { id: "title" }, named(config.title) || t("title")), ui.status);
  return h("header", {}, names, ui.more, button("icon", t("close"), close, icon("close")), ui.menu);
}

function middle() {
  ui.form = h("div", { hidden: true });
  ui.hello = h("p", { class: "lead" }, named(config.greeting) || t("hello"));
  ui.earlier = button("link wide", t("earlier"), () => loadEarlier().catch(() => flash("trouble")));
  ui.log = h("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": t("log") });
  ui.writing = h("p", { class: "writing", hidden: true });
  ui.mail = h("div", { hidden: true });
  ui.proved = h("p", { class: "proved", hidden: true });
  ui.rating = h("div", { hidden: true });
  // It can be focused, so that the keyboard scrolls it.
  const about = { class: "scroll", tabindex: "0", role: "region", "aria-label": t("log") };
  ui.scroll = h(
    "div",
    {
      ...about,
      onscroll: () => {
        if (unread() && atEnd()) draw();
      },
    },
    ui.form,
    ui.hello,
    ui.earlier,
    ui.log,
    ui.writing,
    ui.rating,
    ui.proved,
    ui.mail,
  );
  return ui.scroll;
}

function composer() {
  ui.chips = h("ul", { class: "chips", hidden: true });
  const picked = ({ target }) => {
    attach(target.files);
    target.value = "";
  };
  ui.picker = h("input", { type: "file", multiple: true, hidden: true, onchange: picked });
  ui.text = h("textarea", {
    rows: 1,
    "aria-label": t("write"),
    placeholder: t("write"),
    enterkeyhint: "send",
    onkeydown: keyed,
    onpaste: pasted,
    oninput: () => {
      grow();
      typing(Boolean(ui.text.value));
    },
    onblur: () => typing(false),
  });
  ui.submit = h(
    "button",
    { type: "submit", class: "icon submit", "aria-label": t("send"), title: t("send") },
    icon("send"),
  );
  const clip = button("icon", t("attach"), () => ui.picker.click(), icon("clip"));
  ui.compose = formOf("compose", submit, ui.chips, h("div", { class: "line-in" }, clip, ui.picker, ui.text, ui.submit));
  return ui.compose;
}

function pasted(event) {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  attach(event.clipboardData.files);
}

/** Files over the panel: they are taken where something can be written, and never opened instead of the page. */
function dragged(event) {
  if (event.type === "dragleave" && ui.panel.contains(event.relatedTarget)) return;
  if (event.type !== "dragleave") event.preventDefault();
  ui.panel.classList.toggle("over", event.type === "dragover" && !ui.compose.hidden);
  if (event.type === "drop" && !ui.compose.hidden) attach(event.dataTransfer.files);
}

/** Black or white, whichever is read more easily on this colour (WCAG's relative luminance); one of them has 4.5 : 1. */
export function readable(color) {
  const [r, g, b] = [1, 3, 5]
    .map((at) => parseInt(color.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

/** Enter sends. An Enter that ends the choice of a Chinese word is the input method's, and Safari's says so by 229. */
function keyed(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  submit();
}

const phone = matchMedia("(max-width: 480px), (max-height: 480px)");

function caught(event) {
  if (event.key === "Escape" && !event.isComposing) {
    event.stopPropagation();
    if (ui.answer) ui.answer(false);
    else if (!ui.menu.hidden) {
      toggleMenu(false);
      ui.more.focus();
    } else close();
  }
  if (event.key !== "Tab" || !(phone.matches || ui.answer)) return;
  const all = [
    ...(ui.answer ? ui.sheet : ui.main).querySelectorAll("button, input, select, textarea, a[href], [tabindex='0']"),
  ].filter((e) => e.getClientRects().length && e.type !== "file");
  const from = ui.root.activeElement;
  const [first, last] = [all[0], all.at(-1)];
  if (event.shiftKey ? from === first || from === ui.panel : from === last) {
    event.preventDefault();
    (event.shiftKey ? last : first).focus();
  }
}

function focusIn() {
  // On a phone the keyboard would cover what he came to read.
  if (phone.matches) ui.panel.focus();
  else (ui.form.querySelector("input, select") ?? ui.text).focus();
}

async function open() {
  await ready;
  if (shown || !ui.panel) return;
  shown = true;
  ui.panel.hidden = false;
  ui.launcher.setAttribute("aria-expanded", "true");
  fit();
  draw({ toEnd: true });
  focusIn();
  unlockSound();
  tell("open");
  refreshConfig();
}

function close() {
  if (!shown) return;
  shown = false;
  ui.panel.hidden = true;
  ui.launcher.setAttribute("aria-expanded", "false");
  typing(false);
  fit();
  draw();
  ui.launcher.focus();
  tell("close");
}

/** On a phone the panel covers what is visible above the keyboard, and the page behind does not move. */
function fit() {
  const whole = shown && phone.matches;
  ui.panel.setAttribute("aria-modal", String(whole));
  document.documentElement.style.setProperty("overflow", whole ? "hidden" : "");
  if (!document.documentElement.style.overflow) document.documentElement.style.removeProperty("overflow");
  const view = window.visualViewport;
  ui.host.style.setProperty("--height", `${view?.height ?? innerHeight}px`);
  ui.host.style.setProperty("--top", `${view?.offsetTop ?? 0}px`);
  if (shown && atEnd()) toEnd();
}

let configAt = 0;

async function refreshConfig() {
  if (Date.now() - configAt < 60_000) return;
  configAt = Date.now();
  config = await callJson("GET", `${INBOX}/config`, undefined, { token: null }).catch(() => config);
  draw();
}

// ---------------------------------------------------------------------------------------------------------------- boot

const events = new EventTarget();

/** The form of feedback.js, which is loaded when somebody asks for it. */
const feedback = (given) =>
  import(new URL(`feedback.js${HERE.search}`, HERE).href).then(() => window.helpdesk.feedback.open(given));

/** What the host page can do: `window.helpdesk.chat`. Events: open, close, unread {count}, expired. */
const api = Object.defineProperty(Object.assign(events, { open, close, identify, logout, feedback }), "unread", { get: unread });

const tell = (name, detail = {}) => events.dispatchEvent(new CustomEvent(name, { detail }));

let readied;
let refused;
const ready = new Promise((resolve, reject) => {
  [readied, refused] = [resolve, reject];
});
ready.catch(() => {});

function chooseLanguage() {
  const asked = [
    HERE.searchParams.get("lang"),
    document.documentElement.dataset.helpdeskLang,
    document.documentElement.lang,
    ...navigator.languages,
  ];
  language = asked.map((tag) => spoken(tag ?? "")).find(Boolean) ?? spoken(config.default_language) ?? "en";
}

async function boot() {
  for (let pause = 2; !config; pause = Math.min(60, 2 * pause)) {
    try {
      config = await callJson("GET", `${INBOX}/config`, undefined, { token: null });
    } catch (error) {
      if (!["network", "internal", "unavailable", "rate_limited"].includes(error.code)) {
        console.warn(`helpdesk chat: ${error.code}. Is the inbox right, and this site one of its origins?`);
        refused(error);
        return;
      }
      await new Promise((resolve) => {
        setTimeout(resolve, 1000 * pause);
      });
    }
  }
  configAt = Date.now();
  chooseLanguage();
  if (document.readyState === "loading")
    await new Promise((resolve) => {
      document.addEventListener("DOMContentLoaded", resolve);
    });
  build();
  sound = stored("sound") === true;
  session = stored("session");
  restoreOutbox();
  readied();
  draw();
  listen();
  await resume();
}

/** Go on where this browser was: the log first, then what happens. */
async function resume() {
  if (!session) return flush();
  try {
    await reload();
    connect();
  } catch (error) {
    if (error.code !== "session_refused") {
      link.tries += 1;
      setTimeout(resume, 1000 * (1 + Math.random() * Math.min(MOST_SECONDS_AWAY, 2 ** link.tries)));
      draw();
    }
  }
  return undefined;
}

function listen() {
  let away = 0;
  addEventListener("online", awake);
  addEventListener("offline", () => {
    if (session) reconnect();
  });
  addEventListener("pageshow", ({ persisted }) => persisted && awake());
  addEventListener("resize", fit);
  window.visualViewport?.addEventListener("resize", fit);
  window.visualViewport?.addEventListener("scroll", fit);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(away);
    if (document.visibilityState === "visible") {
      refreshConfig();
      awake();
    } else if (!sound && !queue) {
      // Whoever has not looked for so long is not here: what he is answered shall go on by e-mail.
      away = setTimeout(disconnect, HIDDEN_FOR);
    }
  });
  // Another tab has begun, changed or ended the session.
  addEventListener("storage", ({ key }) => {
    if (key === `helpdesk.chat.${INBOX}.read`) {
      const kept = stored("read");
      if (kept?.conversation === log.conversation) log.read = Math.max(log.read, kept.seq);
      draw();
    }
    if (key !== `helpdesk.chat.${INBOX}.session` || follow() || localStorage.getItem(key)) return;
    forget();
    draw();
  });
}

// A constructed sheet: a policy without `style-src 'unsafe-inline'` allows it. Pixels, since `rem` is the host page's.
export const CSS = `
:host { all: initial !important; position: fixed !important; z-index: 2147483000 !important; right: 0 !important; bottom: 0 !important; }
*, ::before, ::after { box-sizing: border-box; }
[hidden], [hidden] * { display: none !important; }
.widget {
  --back: #fff; --soft: #f2f4f7; --text: #14171f; --dim: #596273; --line: #d9dee6; --edge: #7b8494; --wrong: #b42318; --good: #1fa463;
  --shade: 0 12px 48px #0c153030, 0 2px 8px #0c15301f;
  color: var(--text); font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif;
  color-scheme: light; text-align: start; -webkit-text-size-adjust: 100%;
}
.widget:lang(zh-TW) { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "PingFang TC", "Microsoft JhengHei", "Noto Sans CJK TC", "Noto Sans TC", sans-serif; }
@media (prefers-color-scheme: dark) {
  .widget { --back: #15181f; --soft: #242933; --text: #f1f3f7; --dim: #a9b1bf; --line: #343b48; --edge: #7d8798; --wrong: #ff9d92; --good: #3ccf85; --shade: 0 12px 48px #000a, 0 0 0 1px #2c323e; color-scheme: dark; }
}
button, input, select, textarea { font: inherit; color: inherit; margin: 0; }
button { border: 0; background: none; padding: 0; cursor: pointer; touch-action: manipulation; }
[aria-disabled=true] { opacity: .55; cursor: default; }
h2, h3, p, ul, fieldset { text-wrap: pretty; margin: 0; padding: 0; border: 0; min-width: 0; }
svg { width: 24px; height: 24px; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; flex: none; display: block; }
:focus { outline: none; }
:focus-visible { outline: 2px solid var(--text); outline-offset: 2px; box-shadow: 0 0 0 2px var(--back); }
header :focus-visible { outline-color: var(--on-accent); outline-offset: -4px; box-shadow: none; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.launcher { position: fixed; right: calc(20px + env(safe-area-inset-right)); bottom: calc(20px + env(safe-area-inset-bottom)); width: 60px; height: 60px; border-radius: 50%;
  display: grid; place-items: center; background: var(--accent); color: var(--on-accent); box-shadow: 0 6px 24px #0c153040, 0 0 0 1px #ffffff2e; transition: transform .18s; }
.launcher:hover { transform: scale(1.05); }
.launcher svg { grid-area: 1 / 1; width: 28px; height: 28px; transition: opacity .18s, transform .18s; }
.launcher svg:nth-of-type(2), .launcher[aria-expanded=true] svg:nth-of-type(1) { opacity: 0; transform: rotate(-45deg); }
.launcher[aria-expanded=true] svg:nth-of-type(2) { opacity: 1; transform: none; }
.badge { position: absolute; top: -4px; right: -4px; min-width: 24px; height: 24px; padding: 0 6px; border-radius: 12px; background: #c81e1e; color: #fff; border: 2px solid var(--back); font-size: 12px; font-weight: 700; line-height: 20px; text-align: center; }

.panel { position: fixed; right: calc(20px + env(safe-area-inset-right)); bottom: calc(92px + env(safe-area-inset-bottom)); width: 380px; height: min(660px, calc(100dvh - 112px)); border-radius: 18px; overflow: hidden;
  background: var(--back); box-shadow: var(--shade); animation: rise .22s cubic-bezier(.2, .8, .3, 1); }
@keyframes rise { from { opacity: 0; transform: translateY(14px) scale(.985); } }
.main { position: relative; height: 100%; display: flex; flex-direction: column; }
header { position: relative; display: flex; align-items: center; gap: 2px; padding: 14px 8px 14px 20px; padding-top: max(14px, env(safe-area-inset-top)); background: var(--accent); color: var(--on-accent); border-bottom: 1px solid #0000001f; }
header > div:first-child { flex: 1; min-width: 0; }
h2 { font-size: 17px; font-weight: 650; line-height: 1.3; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
h3 { font-size: 15px; font-weight: 650; }
.status { font-size: 13px; line-height: 1.35; }
.status::before { content: ""; display: inline-block; width: 9px; height: 9px; margin-inline-end: 6px; border-radius: 50%; border: 1.5px solid currentColor; }
.status[data-here=true]::before { background: #3ddc84; }
.icon { width: 44px; height: 44px; flex: none; display: grid; place-items: center; border-radius: 12px; }
.icon:hover { background: color-mix(in srgb, currentColor 12%, transparent); }
header .icon[aria-controls] svg { stroke-width: 3.2; }
.menu { position: absolute; z-index: 3; top: calc(100% - 4px); right: 10px; min-width: 250px; padding: 6px; border-radius: 14px; background: var(--back); color: var(--text); box-shadow: var(--shade); }
.menu button { display: flex; align-items: center; justify-content: space-between; gap: 12px; width: 100%; min-height: 44px; padding: 6px 12px; border-radius: 9px; text-align: start; }
.menu button:hover { background: var(--soft); }
.menu :focus-visible { outline-color: var(--text); outline-offset: -2px; }
.switch { width: 40px; height: 24px; flex: none; border-radius: 12px; border: 2px solid var(--edge); position: relative; }
.switch::after { content: ""; position: absolute; inset: 3px auto 3px 3px; width: 14px; border-radius: 50%; background: var(--edge); transition: transform .15s; }
[aria-checked=true] .switch { background: var(--text); border-color: var(--text); }
[aria-checked=true] .switch::after { background: var(--back); transform: translateX(16px); }

.notice { padding: 9px 20px; font-size: 13.5px; background: var(--soft); border-bottom: 1px solid var(--line); }
.notice .link { margin-inline-start: 8px; }
.scroll { flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; padding: 18px 16px 10px; scrollbar-width: thin; scrollbar-color: var(--edge) transparent; }
.scroll:focus-visible { outline-offset: -3px; box-shadow: none; }
.lead { font-size: 21px; line-height: 1.3; font-weight: 650; letter-spacing: -.01em; margin: 4px 4px 14px; text-wrap: balance; white-space: pre-line; }
.soft { color: var(--dim); font-size: 13.5px; }
.line { margin: 14px 12px; text-align: center; font-size: 12.5px; color: var(--dim); }
.line.day { font-weight: 600; }

.row { display: flex; align-items: flex-end; gap: 8px; margin-top: 3px; }
.row.first { margin-top: 12px; }
.mine { justify-content: flex-end; padding-inline-start: 44px; }
.theirs { padding-inline-end: 32px; }
.face { width: 28px; height: 28px; flex: none; margin-bottom: 22px; border-radius: 50%; display: grid; place-items: center; background: var(--soft); border: 1px solid var(--line); font-size: 12px; font-weight: 650; visibility: hidden; }
.last .face { visibility: visible; }
.stack { min-width: 0; display: flex; flex-direction: column; align-items: flex-start; gap: 3px; }
.mine .stack { align-items: flex-end; }
.who { font-size: 12.5px; color: var(--dim); padding: 0 4px 1px; }
.row:not(.first) .who, .mine .who { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.bubble { max-width: 100%; padding: 9px 14px; border-radius: 18px; background: var(--soft); white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext; }
.theirs.last .bubble { border-end-start-radius: 5px; }
.mine .bubble { background: var(--accent); color: var(--on-accent); box-shadow: inset 0 0 0 1px #8888882e; }
.mine.last .bubble { border-end-end-radius: 5px; }
[data-state=failed] .bubble { background: none; color: var(--text); box-shadow: inset 0 0 0 1.5px var(--wrong); }
a { color: inherit; text-decoration: underline; text-underline-offset: 2px; }
.foot { display: flex; align-items: center; gap: 4px; min-height: 0; padding: 0 4px; font-size: 12px; color: var(--dim); }
.foot svg { width: 14px; height: 14px; }
.foot .link { padding: 0 6px; font-size: 13px; }
.file { display: grid; grid-template-columns: auto 1fr; column-gap: 10px; align-items: center; max-width: 100%; min-height: 52px; padding: 8px 14px 8px 10px; border: 1px solid var(--line); border-radius: 14px; background: var(--back); text-align: start; overflow: hidden; }
.file:hover { background: var(--soft); }
.file > svg { grid-row: span 2; color: var(--dim); }
.filename { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 14px; unicode-bidi: isolate; }
.size { font-size: 12px; color: var(--dim); }
.painted { display: block; width: fit-content; padding: 0; min-height: 0; }
.painted > :not(canvas) { display: none; }
.picture { display: block; max-width: 240px; max-height: 260px; }
.writing { display: flex; align-items: center; gap: 8px; margin: 10px 4px 2px; font-size: 13px; color: var(--dim); }
.dots { display: inline-flex; gap: 3px; padding: 9px 11px; border-radius: 14px; background: var(--soft); }
.dots i { width: 6px; height: 6px; border-radius: 50%; background: var(--dim); animation: dot 1.2s infinite; }
.dots i:nth-child(2) { animation-delay: .15s; } .dots i:nth-child(3) { animation-delay: .3s; }
@keyframes dot { 0%, 60%, 100% { opacity: .35; } 30% { opacity: 1; } }
.newest { position: absolute; z-index: 1; left: 50%; bottom: 132px; translate: -50%; min-height: 36px; padding: 0 16px; border-radius: 18px; background: var(--text); color: var(--back); font-size: 13.5px; font-weight: 600; box-shadow: var(--shade); }
.newest::after { content: ""; position: absolute; inset: -4px; }

.prechat { display: grid; gap: 14px; padding: 0 4px 8px; }
.prechat .lead { margin: 4px 0 -8px; }
.field { display: grid; gap: 5px; }
label, legend { font-size: 14px; font-weight: 600; padding: 0; }
label .soft { font-weight: 400; }
input:not([type=radio]), select, .card textarea { width: 100%; min-height: 44px; padding: 9px 12px; border: 1px solid var(--edge); border-radius: 10px; background: var(--back); font-size: 16px; }
.card textarea { resize: vertical; display: block; }
[aria-invalid] { border-color: var(--wrong) !important; box-shadow: 0 0 0 1px var(--wrong); }
.wrong { color: var(--wrong); font-size: 13px; }
.primary { min-height: 46px; padding: 0 20px; border-radius: 12px; background: var(--accent); color: var(--on-accent); font-weight: 650; box-shadow: inset 0 0 0 1px #8888884d; }
.primary:hover { filter: brightness(1.07); }
.link { min-height: 44px; padding: 0 10px; font-weight: 600; text-decoration: underline; text-underline-offset: 3px; border-radius: 8px; }
.foot .link, .notice .link { min-height: 28px; }
.wide { display: block; margin: 0 auto; font-size: 13.5px; color: var(--dim); }
.card { display: grid; gap: 10px; margin: 16px 0 6px; padding: 16px; border: 1px solid var(--line); border-radius: 16px; background: var(--soft); }
.buttons { display: flex; flex-wrap: wrap; gap: 6px; }
.proved { display: flex; align-items: center; justify-content: center; gap: 6px; margin: 14px 4px; font-size: 13px; color: var(--dim); overflow-wrap: anywhere; }
.proved svg { width: 18px; height: 18px; }
.rating { text-align: center; }
.rating > label { text-align: start; margin-bottom: -6px; }
.stars { display: flex; justify-content: center; margin: 6px 0 2px; }
.star { position: relative; width: 48px; height: 48px; display: grid; place-items: center; border-radius: 12px; cursor: pointer; color: var(--edge); }
.star input { position: absolute; inset: 0; opacity: 0; margin: 0; cursor: pointer; }
.star svg { width: 34px; height: 34px; stroke-width: 1.5; }
.star:has(input:checked), .star:has(~ .star input:checked) { color: #b7791f; }
.star:has(input:checked) svg, .star:has(~ .star input:checked) svg { fill: #f5b93c; }
.star:has(:focus-visible) { outline: 2px solid var(--text); outline-offset: -2px; }
.star :focus-visible { outline: none; box-shadow: none; }

.safety { display: flex; gap: 8px; padding: 9px 20px 7px; border-top: 1px solid var(--line); font-size: 12px; line-height: 1.4; color: var(--dim); }
.safety svg { width: 17px; height: 17px; color: var(--good); margin-top: 1px; }
.compose { padding: 2px 10px 10px; padding-bottom: max(10px, env(safe-area-inset-bottom)); }
.line-in { display: flex; align-items: flex-end; gap: 2px; padding: 2px; border: 1px solid var(--edge); border-radius: 24px; background: var(--back); }
.line-in:focus-within { outline: 2px solid var(--text); outline-offset: -1px; }
.line-in .icon { border-radius: 22px; }
.line-in textarea { flex: 1; min-width: 0; min-height: 44px; max-height: 140px; padding: 10px 2px; border: 0; background: none; resize: none; font-size: 16px; line-height: 1.45; outline: none; box-shadow: none; }
textarea::placeholder { color: var(--dim); opacity: 1; }
.submit { background: var(--accent); color: var(--on-accent); box-shadow: inset 0 0 0 1px #8888884d; }
.submit:hover { background: var(--accent); filter: brightness(1.07); }
.submit svg { width: 21px; height: 21px; }
.chips { display: grid; gap: 6px; margin-bottom: 8px; list-style: none; max-height: 150px; overflow-y: auto; }
.chips li { position: relative; display: flex; align-items: center; gap: 8px; padding-inline-start: 14px; border-radius: 12px; background: var(--soft); overflow: hidden; }
.chips .filename { flex: 1; }
.chips svg { width: 18px; height: 18px; }
.bar { position: absolute; left: 0; bottom: 0; height: 3px; background: var(--good); transition: width .2s; }
.dropping { position: absolute; z-index: 4; inset: 8px; display: none; place-items: center; border: 2px dashed var(--edge); border-radius: 14px; background: var(--back); font-weight: 650; pointer-events: none; }
.over .dropping { display: grid; }
.sheet { position: absolute; z-index: 5; inset: 0; display: grid; align-items: end; background: #0b0f18b3; }
.ask { display: grid; gap: 10px; max-height: 100%; overflow-y: auto; padding: 22px 20px; padding-bottom: max(20px, env(safe-area-inset-bottom)); border-radius: 18px 18px 0 0; background: var(--back); animation: rise .2s; }
.ask h2 { font-size: 18px; white-space: normal; }
.ask > svg { width: 32px; height: 32px; color: var(--wrong); }
.ask .buttons { margin-top: 6px; }

@media (max-width: 480px), (max-height: 480px) {
  .panel { inset: var(--top, 0) 0 auto; width: 100%; height: var(--height, 100dvh); border-radius: 0; }
  .launcher[aria-expanded=true] { display: none; }
}
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) {
  .panel, .menu, .ask, .bubble, .launcher, .primary, .submit, .newest, .badge { border: 1px solid; }
  .star:has(input:checked) svg, .star:has(~ .star input:checked) svg { fill: Highlight; }
  .status::before { forced-color-adjust: none; }
  .bar { background: Highlight; }
}
@media print { .widget { display: none; } }
`;

// A page may hold the line twice, or navigate without loading anew: there is one chat.
if (INBOX && !window.helpdesk?.chat) {
  window.helpdesk = { ...window.helpdesk, chat: api };
  boot();
}
