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


PAIR = re.compile(r"^    --([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);$", re.MULTILINE)
FOUND = PAIR.findall((FOLDER / "base.css").read_text("utf-8"))
LIGHT = {name: light for name, light, _ in FOUND}
DARK = {name: dark for name, _, dark in FOUND}


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


def test_no_colour_of_a_token_is_of_one_theme_only() -> None:
    css = (FOLDER / "base.css").read_text("utf-8")
    tokens = re.findall(r"^ +--([\w-]+): (.*);$", css, re.MULTILINE)
    assert {name: value for name, value in tokens if "#" in value and "light-dark(" not in value} == {}
    assert css.count("light-dark(#") == len(FOUND) + 2, "the shadow has two; all others are checked above"
