"""Every address of the console, light on a screen and dark on a phone in another language: no serious fault, nothing
that is forbidden."""

from __future__ import annotations

import re
from pathlib import Path

from helpdesk.api.console import FOLDER, routes
from tests.browser.bench import chromium, require_browser
from tests.console.browser import PHONE, WIDE, Desk, Visit, opened
from tests.console.test_shell import post

OPEN_TO_ALL = ("/login", "/invitation", "/password-reset", "/welcome")


def addresses(conversation: str, contact: str) -> list[str]:
    """One for each entry of the list of addresses, and each page of the settings."""
    ids = {
        "/inbox/:view": "mine",
        "/reports/:name": "sla",
        "/contacts/:id": contact,
        "/conversations/:id": conversation,
    }
    found = [path for path in routes() if ":" not in path and path not in OPEN_TO_ALL]
    found += [re.sub(r":\w+$", value, path) for path, value in ids.items()]
    pages = re.findall(r'path: "([\w-]+)"', (FOLDER / "settings/pages.js").read_text("utf-8"))
    assert len(pages) > 10
    return [*found, f"/inbox/open/{conversation}", *(f"/settings/{page}" for page in pages), "/settings/teams/new"]


def judge(visit: Visit, paths: list[str]) -> dict[str, list[str]]:
    found = {}
    for path in paths:
        visit.follow(path).idle()
        visit.shot(f"everywhere{path.replace('/', '-')}")
        if faults := visit.faults():
            found[path] = faults
    visit.untroubled()
    return found


def test_every_address_is_without_fault_in_both_themes_and_widths(tmp_path: Path) -> None:
    require_browser()
    with chromium() as browser, opened(tmp_path, browser) as desk:
        paths = addresses(*conversation_of(desk))
        for theme, device, language in (("light", WIDE, "en"), ("dark", PHONE, "zh-TW")):
            visit = desk.visit("/inbox", theme=theme, device=device, language=language)
            assert visit.page.evaluate("document.documentElement.lang") == language
            assert judge(visit, paths) == {}, theme
            stranger = desk.visit("/login", as_="", theme=theme, device=device, language=language)
            stranger.forgive("401 (Unauthorized)")
            assert judge(stranger, ["/password-reset", "/invitation"]) == {}, theme


def conversation_of(desk: Desk) -> tuple[str, str]:
    post(desk, "Where is my withdrawal", "It has been pending since yesterday.\n\n> An older line.\n")
    found = desk.stack.conversation("Where is my withdrawal")
    return found["id"], found["contact"]["id"]
