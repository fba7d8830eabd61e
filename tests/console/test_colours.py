"""Contrast, computed from the tokens of base.css: AA in both themes, for each ink on each ground that it stands on."""

from __future__ import annotations

import re

import pytest

from helpdesk.api.console import FOLDER

GROUNDS = ("ground", "surface", "raised", "sunk")
TEXT = 4.5
DRAWN = 3.0
PAIRS = [(ink, ground, TEXT) for ink in ("ink", "ink-soft") for ground in (*GROUNDS, "accent-soft", "note-soft")]
PAIRS += [("ink-faint", ground, TEXT) for ground in ("ground", "surface", "raised")]
PAIRS += [("accent-ink", ground, TEXT) for ground in (*GROUNDS, "accent-soft")]
PAIRS += [(f"{name}-ink", ground, TEXT) for name in ("good", "warn", "bad") for ground in ("surface", f"{name}-soft")]
PAIRS += [
    ("note-ink", "note-soft", TEXT),
    ("on-accent", "accent", TEXT),
    ("on-bad", "bad", TEXT),
    ("ink", "mark", TEXT),
]
PAIRS += [(line, ground, DRAWN) for line in ("line-strong", "focus", "accent") for ground in ("ground", "surface")]


def tokens(selector: str) -> dict[str, str]:
    """The colours that one rule of base.css gives."""
    css = (FOLDER / "base.css").read_text("utf-8")
    body = css.partition(f"{selector} {{")[2].partition("}")[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", body))


LIGHT = tokens("  :root")
DARK = tokens('  :root[data-theme="dark"]')


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_ink_can_be_read_on_every_ground_it_stands_on(theme: dict[str, str]) -> None:
    found = {(ink, ground): round(contrast(theme[ink], theme[ground]), 2) for ink, ground, _ in PAIRS}
    assert {pair: found[pair] for *pair_, least in PAIRS if found[pair := (pair_[0], pair_[1])] < least} == {}


def test_dark_is_the_same_whether_chosen_or_the_systems() -> None:
    assert tokens("    :root:not([data-theme])") == DARK
    assert DARK.keys() | {"shadow"} >= LIGHT.keys()
