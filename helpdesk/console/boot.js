// The first module: asks for what the first screen will need before anything else is loaded, then hands over.

import { asked, FIRST } from "./inbox/asking.js";
import { href, unescaped } from "./kernel/address.js";

const started = (globalThis.helpdeskBoot = { answers: new Map(), link: null });

// Letters lead to `/#invitation=…` and `/#password-reset=…`, the first start to `/#first-run=…`. What stands there is a
// secret: out of the address bar and the history with it, before anything else runs.
const [, kind, secret] = /^#(invitation|password-reset|first-run|sso)=(.+)$/.exec(location.hash) ?? [];
if (kind === "sso") {
  started.link = { kind, secret };
  history.replaceState(null, "", "/login");
} else if (kind) {
  started.link = { kind, secret: unescaped(secret) };
  history.replaceState(null, "", kind === "first-run" ? "/welcome" : `/${kind}`);
}

const ask = (path, query) => {
  const address = href(path, query);
  const answer = fetch(address, { headers: { Accept: "application/json" } });
  answer.catch(() => {}); // whoever takes it over is told
  started.answers.set(address, answer);
};

ask("/me");
// Whoever brings no session would be refused.
const [inbox, view = FIRST] = /^\/(?:inbox(?:\/([^/]+)(?:\/[^/]+)?)?|conversations\/[^/]+)?$/.exec(location.pathname) ?? [];
if (inbox && "session" in document.documentElement.dataset) {
  ask("/conversations", asked(unescaped(view), new URLSearchParams(location.search)));
}

// Not even the texts are there to say it with.
const lost = () => {
  const again = Object.assign(document.createElement("button"), { type: "button", textContent: "Try again · 重试 · 重試" });
  again.addEventListener("click", () => location.reload());
  document.body.replaceChildren(again);
};
import("./shell/shell.js")
  .then(({ open }) => open())
  .catch((error) => {
    lost();
    throw error;
  });
