// How somebody comes in: his invitation, his second step, his company account, and where he is signed in.

import { del, get, post } from "../../kernel/api.js";
import { ask } from "../../kernel/dialog.js";
import { each, h } from "../../kernel/dom.js";
import { say, t } from "../../kernel/i18n.js";
import { badge, button } from "../../kernel/parts.js";
import { signal } from "../../kernel/signals.js";
import { attempt } from "../../kernel/toast.js";
import { section, shownOnce } from "../once.js";

export function access(item, { saved }) {
  const path = `/agents/${item.id}`;
  const again = async () => saved(await get(path));
  return h(
    "div",
    {},
    !item.joined && item.active && invitation(path),
    section(t("agents.access"), doors(item, path, again), sessions(path)),
  );
}

function invitation(path) {
  const sent = signal(null);
  get(`${path}/invitation`).then((found) => (sent.value = found), () => {}); // 404: none was made
  const invite = (mail) => async () => {
    const found = await attempt(post(`${path}/invitation`, { mail }));
    if (found) sent.value = found;
  };
  const state = () => {
    const found = sent.value;
    if (!found) return h("p", { class: "soft" }, t("agents.invite_hint"));
    if (found.link) return shownOnce(t("agents.link"), found.link, t("agents.link_hint"));
    return h(
      "p",
      { class: "row" },
      badge(say(found.status, "agents.invited"), found.status === "failed" ? "bad" : "good"),
      h("time-ago", { datetime: found.created_at }),
    );
  };
  return section(
    t("agents.invite"),
    state,
    h(
      "div",
      { class: "row" },
      button({ text: t("agents.invite_mail"), icon: "mail", run: invite(true) }),
      button({ text: t("agents.invite_link"), icon: "link", run: invite(false) }),
    ),
  );
}

function doors(item, path, again) {
  const off = (what, title, text) => async () => {
    if (!(await ask({ title, text, confirm: t("agents.take_away"), danger: true }))) return;
    if ((await attempt(del(`${path}/${what}`, { version: item.version }), { done: t("agents.done") })) !== undefined)
      await again();
  };
  return [
    h(
      "p",
      { class: "row" },
      t("agents.totp"),
      badge(item.totp ? t("agents.on") : t("agents.off"), item.totp ? "good" : ""),
      item.totp &&
        button({ text: t("agents.take_away"), run: off("totp", t("agents.totp_title"), t("agents.totp_text")) }),
    ),
    h(
      "div",
      { class: "row" },
      button({ text: t("agents.unlink"), run: off("sso", t("agents.unlink"), t("agents.unlink_text")) }),
    ),
  ];
}

function sessions(path) {
  const list = signal([]);
  const read = () => get(`${path}/sessions`).then(({ items }) => (list.value = items), () => {});
  read();
  const end = async () => {
    if ((await attempt(del(`${path}/sessions`), { done: t("agents.done") })) !== undefined) read();
  };
  const row = (one$) =>
    h(
      "li",
      {},
      h("span", { class: "grow cut" }, one$.peek().client),
      h("time-ago", { class: "soft", datetime: one$.peek().last_seen_at }),
    );
  return () =>
    list.value.length
      ? [
          h("p", { class: "soft" }, t("agents.sessions")),
          h(
            "ul",
            { class: "plain-rows" },
            each(
              () => list.value,
              (one) => one.id,
              row,
            ),
          ),
          h("div", { class: "row" }, button({ text: t("agents.end_sessions"), run: end })),
        ]
      : h("p", { class: "soft" }, t("agents.no_sessions"));
}
