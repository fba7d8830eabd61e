"""The whole console in Chinese: every address is visited, and no English word is left but names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from helpdesk.api.console import FOLDER
from tests.browser.bench import chromium, require_browser
from tests.console.browser import opened
from tests.console.test_beside import post

_ADDRESS = re.compile(r'^  \["(/[^"]*)", "(\w+)"\],$', re.MULTILINE)
_PAGE = re.compile(r'path: "([\w-]+)"')
_REPORTS = ("volume", "response-times", "sla", "ratings", "chats", "backlog")
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]{2,}")
NAMES = """
    Mina Park Sol Reyes Ben Okafor Eva Lin Mei Support First line Helpdesk English Telegram Facebook Instagram
    Slack Webhook Webhooks Discord Microsoft Google Teams DingTalk WeCom Feishu Asia Taipei UTC CSV API SLA SSO
    IMAP SMTP HTTP HTTPS JSON TOTP OAuth OIDC URL Ctrl Shift Enter Esc Alt Tab Cmd Chrome Linux
    HeadlessChrome Python E-mail OpenID Connect Entra Okta Keycloak
"""
"""Names of people, products, formats and keys, which stay as they are in any language."""

GIVEN = {"China, Monday to Friday", "Security", "Complaint", "Chat", "Social networks", "tests"}
GIVEN |= {"Answer due soon", "Answer overdue"}
KEYS = {"security", "technical", "feedback", "transaction", "how-to", "complaint", "account"}
"""What things are called that are there from the beginning, which people rename; and the keys of categories."""

_TEXTS = """() => {
  const shown = [...document.querySelectorAll('body *')].filter((one) => one.checkVisibility() && !one.closest(
    'bdi, code, pre, kbd, time, option, .list, .message, .avatar, [data-native], [lang]:not(html)'));
  const own = (one) => [...one.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data);
  const names = (one) => ['aria-label', 'title', 'placeholder'].map((name) => one.getAttribute(name) ?? '');
  return shown.flatMap((one) => [...own(one), ...names(one)]).filter((text) => text.trim());
}"""


def addresses(conversation: str, contact: str) -> Iterator[str]:
    """Every address of the console that needs a session, settings page by page."""
    fitting = {"/inbox/:view": "/inbox/all", "/inbox/:view/:id": f"/inbox/all/{conversation}"}
    fitting |= {"/conversations/:id": f"/conversations/{conversation}", "/contacts/:id": f"/contacts/{contact}"}
    for path, area in _ADDRESS.findall((FOLDER / "routes.js").read_text("utf-8")):
        if area == "session":
            continue
        if path == "/reports/:name":
            yield from (f"/reports/{name}" for name in _REPORTS)
        elif path == "/settings/:page":
            pages = _PAGE.findall((FOLDER / "settings/pages.js").read_text("utf-8"))
            yield from (f"/settings/{page}" for page in pages)
        elif path != "/settings/:page/:id":
            yield fitting.get(path, path)


def english(text: str) -> set[str]:
    """Words of a text that nobody is called by. Addresses and files are none."""
    return set(_WORD.findall(re.sub(r"\S+[@/]\S+|\S+\.csv", "", text))) - set(NAMES.split())


def test_no_word_is_left_in_english(tmp_path: Path) -> None:
    require_browser()
    with chromium() as browser, opened(tmp_path, browser) as desk:
        found = post(desk, "提现一直没有到账", "您好，我的提现昨天就提交了，到现在还没有到账。")
        contact = desk.stack.http.get(f"/conversations/{found['id']}").json()["contact"]["id"]
        mina = desk.visit("/inbox", language="zh-CN")
        left: dict[str, list[str]] = {}
        for path in addresses(found["id"], contact):
            mina.follow(path).idle()
            texts = [text for text in mina.page.evaluate(_TEXTS) if text not in GIVEN | KEYS and english(text)]
            if texts:
                left[path] = texts
        assert left == {}
        assert mina.page.evaluate("document.documentElement.lang") == "zh-CN"
        mina.forgive("404 (Not Found)")  # there is no draft yet
        mina.untroubled()
