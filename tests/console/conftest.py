"""One Chromium and one desk for the tests of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.bench import chromium, require_browser
from tests.console.browser import Desk, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require_browser()
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """After the browser: where there is none, nothing is started."""
    with opened(tmp_path_factory.mktemp("desk"), browser) as made:
        yield made


@pytest.fixture
def api(desk: Desk) -> Callable[[str], Any]:
    """What the API answers to the administrator."""
    return lambda path: desk.stack.http.get(path).json()
