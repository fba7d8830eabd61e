// The first module: asks for what the first screen will need before anything else is loaded, then hands over.

const started = (globalThis.helpdeskBoot = { answers: new Map(), link: null });

// Letters lead to `/#invitation=…` and `/#password-reset=…`. What stands there is a secret: out of the address bar and the
// history with it, before anything else runs.
const [, kind, secret] = /^#(invitation|password-reset|sso)=(.+)$/.exec(location.hash) ?? [];
if (kind === "sso") {
  started.link = { kind, secret };
  history.replaceState(null, "", "/login");
} else if (kind) {
  started.link = { kind, secret: decodeURIComponent(secret) };
  history.replaceState(null, "", `/${kind}`);
}

const ask = (path) => {
  const answer = fetch(`/api/v1${path}`, { headers: { Accept: "application/json" } });
  answer.catch(() => {}); // whoever takes it over is told
  started.answers.set(path, answer);
};

ask("/me");

import("./shell/shell.js").then(({ open }) => open());
