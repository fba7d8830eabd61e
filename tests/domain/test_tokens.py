"""Reply tokens: short enough for a local part, and good for one recipient of one conversation only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.email.config import TOKEN_LENGTH
from helpdesk.domain import tokens
from helpdesk.domain.tokens import LENGTH, issue, read, verify

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
MINA = "mina@customer.test"
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def accepted(text: str, *, key: bytes = KEY, recipient: str = MINA) -> bool:
    token = read(text)
    return token is not None and verify(key, token, recipient=recipient)


def test_it_fits_a_local_part_and_the_connector_agrees_on_its_length() -> None:
    token = issue(KEY, key_id=1, number=42, recipient=MINA)
    assert len(token) == LENGTH == TOKEN_LENGTH == 36
    assert set(token) <= set(ALPHABET)
    assert len(f"support+{token}") <= 64
    assert tokens._MAC * 8 >= 128


@given(number=st.integers(0, 2**40 - 1), key_id=st.integers(0, 255), recipient=st.emails())
def test_what_is_issued_is_read_back(number: int, key_id: int, recipient: str) -> None:
    text = issue(KEY, key_id=key_id, number=number, recipient=recipient)
    token = read(text)
    assert token is not None
    assert (token.key_id, token.number) == (key_id, number)
    assert verify(KEY, token, recipient=recipient)
    assert text == issue(KEY, key_id=key_id, number=number, recipient=recipient)


def test_every_flipped_bit_is_refused_and_so_are_the_unused_ones() -> None:
    text = issue(KEY, key_id=1, number=42, recipient=MINA)
    assert accepted(text)
    spellings = {
        f"{text[:at]}{ALPHABET[ALPHABET.index(text[at]) ^ bit]}{text[at + 1 :]}"
        for at in range(36)
        for bit in range(1, 32)
    }
    assert len(spellings) == 36 * 31
    assert not [one for one in spellings if accepted(one)]
    # The last character has four bits that say nothing; a token has one spelling all the same.
    assert [c for c in ALPHABET if read(text[:-1] + c) is not None] in (["a", "q"], ["q", "a"])


def test_case_is_folded_and_nothing_else_is() -> None:
    text = issue(KEY, key_id=1, number=42, recipient=MINA)
    assert accepted(text.upper())
    assert accepted("".join(c.upper() if at % 2 else c for at, c in enumerate(text)))
    # The Kelvin sign and the long s fold to letters elsewhere in the world, not here; nor do look-alike digits.
    odd = [text[:-1], text + "a", f" {text}", f"{text}=", text.replace(text[3], "\u212a", 1), text[:-1] + "0"]
    odd += ["", "=" * 36, "\uff41" * 36, "1" * 36, "\u017f" * 36, "é" * 36, text[:35] + "\n"]
    assert not [one for one in odd if accepted(one)]


@given(st.text(max_size=60))
def test_reading_never_raises(text: str) -> None:
    read(text)


def test_it_is_good_for_its_recipient_only() -> None:
    text = issue(KEY, key_id=1, number=42, recipient="Mina@Customer.test ")
    assert accepted(text, recipient=MINA)
    for other in ("bert@customer.test", "mina@customer.test.evil.test", "", "mina"):
        assert not accepted(text, recipient=other)


def test_it_is_good_for_its_conversation_and_key_only() -> None:
    text = issue(KEY, key_id=1, number=42, recipient=MINA)
    assert not accepted(text, key=OTHER)
    token = read(text)
    assert token is not None
    for moved in (tokens.Token(1, 43, token.mac), tokens.Token(2, 42, token.mac)):
        assert not verify(KEY, moved, recipient=MINA)


def test_after_a_rotation_the_old_keys_tokens_are_told_by_their_id() -> None:
    keys = {1: KEY, 2: OTHER}
    for key_id in keys:
        token = read(issue(keys[key_id], key_id=key_id, number=7, recipient=MINA))
        assert token is not None
        assert token.key_id == key_id
        assert verify(keys[token.key_id], token, recipient=MINA)
        assert not verify(keys[3 - token.key_id], token, recipient=MINA)


@pytest.mark.parametrize("number", [-1, 2**40])
def test_a_number_that_does_not_fit_is_an_error_and_not_another_conversation(number: int) -> None:
    with pytest.raises(OverflowError):
        issue(KEY, key_id=1, number=number, recipient=MINA)
