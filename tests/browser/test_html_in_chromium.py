"""Hostile HTML in a real browser: sanitised it does nothing, unsanitised it does, so the bench can tell."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpdesk.domain.html import PAGE_HEADERS, page, sanitise
from helpdesk.domain.html_quotes import folded, letters
from tests.browser.bench import Verdicts, judge_pages
from tests.browser.vectors import OTHER, RUNNING, VECTORS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SHARED = Path(__file__).parents[2].parent / "shared"
ENOUGH = 300
BARE: Mapping[str, str] = {"Content-Type": "text/html; charset=utf-8"}


def shared_vectors() -> dict[str, str]:
    """Each ends its line, as it does in a mail: `tests/attack` relies on it that just these were judged."""
    path = SHARED / "attack" / "xss.jsonl"
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    return {f"shared-{row['id']}": f"{row['payload']}\n" for row in rows}


def sanitised(vectors: Mapping[str, str], headers: Mapping[str, str], browser: Browser) -> Verdicts:
    pages = {key: (page(sanitise(html).html), headers) for key, html in vectors.items()}
    return judge_pages(pages, browser=browser)


def alike() -> dict[str, list[str]]:
    """What the sanitiser leaves of the shared vectors, each with those it is left of."""
    found: dict[str, list[str]] = {}
    for key, html in shared_vectors().items():
        found.setdefault(sanitise(html).html, []).append(key)
    return found


def together(
    same: Mapping[str, Sequence[str]], wanted: Sequence[str], count: int, headers: Mapping[str, str]
) -> dict[str, tuple[str, Mapping[str, str]]]:
    """Pages of `count` each."""
    pages = {}
    for first in range(0, len(wanted), count):
        some = wanted[first : first + count]
        shown = (page("<hr>".join(some)), headers)
        pages.update({key: shown for html in some for key in same[html]})
    return pages


def raw(html: str) -> str:
    return f"<!doctype html><meta charset=utf-8><body>{html}"


def control(vectors: Mapping[str, str], browser: Browser) -> Verdicts:
    return judge_pages({key: (raw(html), BARE) for key, html in vectors.items()}, browser=browser, held=True)


needs_shared = pytest.mark.skipif(not shared_vectors(), reason="../shared/attack/xss.jsonl is not here")


def test_our_vectors_do_nothing_behind_all_walls(browser: Browser) -> None:
    sanitised(VECTORS, PAGE_HEADERS, browser).assert_clean(list(VECTORS))


def test_our_vectors_do_nothing_when_only_the_sanitiser_stands(browser: Browser) -> None:
    sanitised(VECTORS, BARE, browser).assert_clean(list(VECTORS))


def test_our_vectors_do_nothing_in_what_a_mail_quotes(browser: Browser) -> None:
    """Folded by words that may be anything, with only the sanitiser standing. The folds themselves are ours."""
    pages, vectors = {}, list(VECTORS.values())
    for first in range(0, len(vectors), 8):
        clean = sanitise("<p>mine</p>" + "<hr>".join(f"{one}<p>theirs</p>" for one in vectors[first : first + 8])).html
        words = letters(unescape(re.sub(r"<[^>]*>", "", clean)))
        shown = folded(clean, quoted=words.replace("mine", "", 1), own="mine")
        pages[f"{first}"] = page(shown), BARE
    assert sum("<details>" in html for html, _ in pages.values()) >= len(pages) / 2
    judge_pages(pages, browser=browser).assert_clean(list(pages))


def test_our_vectors_run_scripts_when_nothing_stands(browser: Browser) -> None:
    running = {f"{at}": html for at, html in enumerate(RUNNING)}
    assert len(control(running, browser).ran) >= 0.9 * len(RUNNING)


def test_the_bench_sees_what_needs_no_script(browser: Browser) -> None:
    """The same vectors under no policy: each is caught by one sense of the bench or another."""
    verdicts = judge_pages({f"{at}": (raw(html), BARE) for at, html in enumerate(OTHER)}, browser=browser)
    assert len(verdicts.bad) == len(OTHER)
    seen = verdicts.pages.values()
    assert sum(bool(verdict.requests) for verdict in seen) >= 12
    assert sum(bool(verdict.overlays) for verdict in seen) >= 6
    assert sum(bool(verdict.clobbers) for verdict in seen) >= 3
    assert sum(bool(verdict.went_to) for verdict in seen) >= 2


def test_the_walls_stop_every_script_without_the_sanitiser(browser: Browser) -> None:
    verdicts = judge_pages({key: (html, PAGE_HEADERS) for key, html in VECTORS.items()}, browser=browser)
    assert sorted(verdicts.pages) == sorted(VECTORS)
    assert (verdicts.ran, verdicts.dialogs, verdicts.windows) == (set(), [], [])


@needs_shared
def test_every_shared_vector_does_nothing_behind_all_walls(browser: Browser) -> None:
    """Ten different ones to a page: each with markup is shown alone in the harder test, without the walls."""
    same = alike()
    pages = together(same, list(same), 10, PAGE_HEADERS)
    judge_pages(pages, browser=browser).assert_clean(list(shared_vectors()))


@needs_shared
def test_every_shared_vector_does_nothing_when_only_the_sanitiser_stands(browser: Browser) -> None:
    """What is nothing but text after it shares a page with its like: without a tag there is nothing to hide behind."""
    same = alike()
    text = [html for html in same if "<" not in html]
    pages = together(same, text, 30, BARE)
    pages |= together(same, [html for html in same if "<" in html], 1, BARE)
    judge_pages(pages, browser=browser).assert_clean(list(shared_vectors()))


@needs_shared
def test_hundreds_of_shared_vectors_run_scripts_when_nothing_stands(browser: Browser) -> None:
    """Even samples until it is shown: showing each of them raw takes minutes and tells nothing more."""
    vectors = list(shared_vectors().items())
    samples = max(1, len(vectors) // 150)
    ran: set[str] = set()
    for at in range(samples):
        ran |= control(dict(vectors[at::samples]), browser).ran
        if len(ran) > ENOUGH:
            break
    assert len(ran) > ENOUGH
