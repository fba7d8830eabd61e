/* The demo's own few lines: which language the page is in, and buttons of the page that open the chat and the form. */

const LANGUAGES = ["en", "zh-CN", "zh-TW"];

function chosen() {
  const asked = new URLSearchParams(location.search).get("lang");
  if (LANGUAGES.includes(asked)) return asked;
  const tag = navigator.languages.find((one) => /^(en|zh)\b/i.test(one)) ?? "en";
  if (!/^zh/i.test(tag)) return "en";
  return /hant|tw|hk|mo/i.test(tag) ? "zh-TW" : "zh-CN";
}

const language = chosen();
document.documentElement.lang = language;
for (const page of document.querySelectorAll("main")) page.hidden = page.lang !== language;
for (const link of document.querySelectorAll("nav a")) {
  if (link.lang === language) link.setAttribute("aria-current", "page");
}
document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-chat=open]")) window.helpdesk?.chat.open();
  if (target.closest("[data-chat=feedback]")) window.helpdesk?.chat.feedback({ appVersion: "Demo 1.0" });
});
