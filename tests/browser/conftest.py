"""One Chromium for the tests of a file, and for those of the chat a desk that is asked from another origin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.bench import chromium, require_browser
from tests.browser.chat_scene import Scene, scene

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require_browser()
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """After the browser: where there is none, nothing is started."""
    with scene(tmp_path_factory.mktemp("desk")) as made:
        yield made
