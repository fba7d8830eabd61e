"""Which of the languages that we answer in a text is written in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpdesk.domain import language
from helpdesk.domain.acknowledgement import _TEXTS
from helpdesk.domain.language import SUPPORTED, detect


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("My withdrawal is pending since Monday, please help.", "en"),
        ("你好，我的钱包无法登录，请帮我看看是什么问题。", "zh-CN"),
        ("你好，我的錢包無法登入，請幫我看看是什麼問題。", "zh-TW"),
        ("请问提现多久到账？错误提示：insufficient gas for transfer, nonce too low", "zh-CN"),
        ("請問提領多久到帳？錯誤訊息：insufficient gas for transfer, nonce too low", "zh-TW"),
        ("為什麼我的轉帳還沒有到？", "zh-TW"),
        ("为什么我的转账还没有到？", "zh-CN"),
        ("在吗", "zh-CN"),
        ("你好", "zh-CN"),
        ("The error says 余额不足 when I try to send my tokens to the exchange, what does it mean?", "en"),
        ("ウォレットにログインできません。助けてください。", "en"),
        ("지갑에 로그인할 수 없습니다.", "en"),
        ("Не могу войти в кошелёк", "en"),
        ("Je ne peux pas me connecter", "en"),
        ("مرحبا", "en"),
        ("没到账 0x52908400098527886E0F7030069857D2E4169EE7 https://scan.test/tx/abcdef support@wallet.test", "zh-CN"),
        ("0x52908400098527886E0F7030069857D2E4169EE7", ""),
    ],
)
def test_it_is_told_by_script_and_common_words(text: str, wanted: str) -> None:
    assert detect(text) == wanted


def test_the_later_text_counts_when_the_first_says_nothing() -> None:
    assert detect("", "0x52ab 12345 !!!", "提现问题") == "zh-CN"
    assert detect("12345", "  ", "") == ""
    assert detect() == ""
    assert detect("Hello there", "提现问题") == "en"


def test_a_long_text_is_told_by_its_beginning() -> None:
    assert detect("我的提现没有到账。" * 50 + "word " * 100_000) == "zh-CN"


@given(st.lists(st.text(max_size=200), max_size=3))
def test_whatever_the_text_the_answer_is_a_language_that_we_speak(texts: list[str]) -> None:
    assert detect(*texts) in {"", *SUPPORTED}


def test_every_language_has_its_acknowledgement() -> None:
    assert set(SUPPORTED) == set(_TEXTS)


def test_the_two_sides_of_the_table_have_no_character_in_common() -> None:
    assert not language._ONLY_SIMPLIFIED & language._ONLY_TRADITIONAL
    assert len(language._ONLY_SIMPLIFIED) > 80
    assert len(language._ONLY_TRADITIONAL) > 80
