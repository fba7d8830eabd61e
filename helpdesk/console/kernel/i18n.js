// What people read, in their language. Texts are constants while a page lives: another language loads the page anew.

const KEPT = "helpdesk.language";
export const LANGUAGES = { en: "English", "zh-CN": "简体中文", "zh-TW": "繁體中文" };

/** The language of ours that a tag such as `zh-Hant-HK` means, if any. */
export function spoken(tag) {
  const lower = String(tag ?? "").toLowerCase().replaceAll("_", "-");
  if (/^zh-(?!hans).*(hant|tw|hk|mo)/.test(lower)) return "zh-TW";
  if (/^zh\b/.test(lower)) return "zh-CN";
  return /^en\b/.test(lower) ? "en" : undefined;
}

const kept = () => {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // storage may be switched off
  }
};

export const language = spoken(kept()) ?? navigator.languages.map(spoken).find(Boolean) ?? "en";
document.documentElement.lang = language;

const texts = new Map();
const plurals = new Intl.PluralRules(language);
const loading = new Map();

function addTexts(found) {
  for (const [key, text] of Object.entries(found)) texts.set(key, text);
}

async function fetched(name) {
  const answer = await fetch(new URL(`../text/${language}/${name}.json`, import.meta.url));
  if (!answer.ok) throw new Error(`no texts for ${name}: ${answer.status}`);
  return answer.json();
}

/** The texts of an area; asked for once. Those of all pages of the settings come together, as their modules do. */
export function loadTexts(area) {
  const name = area.replace(/^settings\/.*/, "settings").replaceAll("/", "-");
  if (!loading.has(name)) {
    const asked = fetched(name).then(addTexts);
    asked.catch(() => loading.delete(name));
    loading.set(name, asked);
  }
  return loading.get(name);
}

export const has = (key) => texts.has(key);

function chosen(key, values) {
  const text = texts.get(key);
  if (text === undefined) {
    console.error(`no text for ${key}`);
    return key;
  }
  return typeof text === "string" ? text : (text[plurals.select(values?.n ?? 0)] ?? text.other);
}

/** The text of a key, `{name}` replaced by `values.name`. A text with plural forms goes by `values.n`. */
export function t(key, values) {
  return chosen(key, values).replace(/\{(\w+)\}/g, (_, name) => String(values?.[name] ?? ""));
}

/** The same as a list of nodes, for texts with a link or an element within. */
export function tn(key, values) {
  return chosen(key, values)
    .split(/(\{\w+\})/)
    .filter(Boolean)
    .map((part) => (part[0] === "{" && part.at(-1) === "}" ? (values[part.slice(1, -1)] ?? "") : part));
}

/** A word of the API in people's words: `say("open", "status")` is the text `status.open`, or the word itself. */
export function say(word, prefix) {
  const key = `${prefix}.${word}`;
  return texts.has(key) ? t(key) : String(word ?? "");
}

/** Keep the language that the account has, and load the page anew where it is another one than this page's. */
export function chooseLanguage(tag) {
  const wanted = spoken(tag);
  if (!wanted) return false;
  try {
    localStorage.setItem(KEPT, wanted);
  } catch {
    return false; // loading anew would change nothing
  }
  if (wanted === language) return false;
  location.reload();
  return true;
}
