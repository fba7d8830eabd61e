"""Names that are taken for ours, and names that are not."""

from __future__ import annotations

import pytest

from helpdesk.domain.bits import differing_bits
from helpdesk.domain.resemblance import ALIKE, NEARLY, Names, is_forged, resemblance, skeleton

OURS = [Names("AcmeWallet", "Acme Wallet")]


@pytest.mark.parametrize(
    "other",
    [
        Names("acmewallet_"),
        Names("acme_wallet_support"),
        Names("AcmeWaIIet"),
        Names("acmewa11et"),
        Names("аcmеwаllеt"),
        Names("ΑcmeWallet"),
        Names("acrnewallet"),
        Names("acmevvallet"),
        Names("ACMEWALLET_OFFICIAL"),
        Names("xk2291", "Acme Wallet 官方客服"),
        Names("helpcenter99", "Ａｃｍｅ　Ｗａｌｌｅｔ"),
        Names("acmewalet"),
        Names("acmewalllet"),
        Names("official.support", "Acmé Wàllet ✅ Support Team"),
    ],
)
def test_a_name_that_the_eye_takes_for_ours_is_alike(other: Names) -> None:
    assert resemblance(other, OURS) >= ALIKE, [*other.skeletons]


@pytest.mark.parametrize(
    "other",
    [
        Names("mina", "Mina 米娜"),
        Names("official", "Support"),
        Names("wallet"),
        Names("acme_corp_dogs", "Dogs of Acme"),
        Names("walletwatcher", "Wallet Watcher"),
        Names("", ""),
        Names("我的钱包", "小明"),
    ],
)
def test_a_name_of_its_own_is_not(other: Names) -> None:
    assert resemblance(other, OURS) < ALIKE, [*other.skeletons]


def test_names_of_ideographs_are_compared_in_either_way_of_writing() -> None:
    assert resemblance(Names("x99", "極光錢包客服"), [Names("jiguang", "极光钱包")]) == 1.0
    assert resemblance(Names("x99", "小明"), [Names("jiguang", "极光钱包")]) == 0.0


def test_without_names_of_ours_nobody_looks_like_them() -> None:
    assert resemblance(Names("acmewallet"), []) == 0.0
    assert skeleton("official support") == ""


def test_a_picture_alone_is_no_forgery_and_makes_one_of_a_name_that_is_near() -> None:
    assert is_forged(ALIKE, None)
    assert is_forged(NEARLY, 6)
    assert not is_forged(NEARLY, 7)
    assert not is_forged(NEARLY, None)
    assert not is_forged(0.3, 0)
    assert differing_bits(-1, 0) == 64
    assert differing_bits(5, 4) == 1
