"""Signatures, held against the specification's own pieces and an HMAC of Python's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest

from helpdesk.domain import webhook_signing as signing

KEY = bytes(range(32))
NOW = datetime(2026, 3, 1, 12, 0, 0, 900_000, tzinfo=UTC)


def test_a_secret_survives_being_shown() -> None:
    shown = signing.encode_secret(KEY)
    assert shown == "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert signing.decode_secret(shown) == KEY


@pytest.mark.parametrize(
    "given",
    [
        "",
        "whsec_",
        base64.b64encode(KEY).decode(),
        "whsec_" + base64.b64encode(KEY[:23]).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_AAECAwQFBgcICQoL DA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "whsec_ÄÄÄÄ",
        "whsk_" + base64.b64encode(KEY).decode(),
    ],
)
def test_what_is_no_secret_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        signing.decode_secret(given)


def test_the_whole_message_is_signed_with_the_time_of_the_attempt() -> None:
    body = '{"type":"sla.breached","data":{"name":"米娜"}}'.encode()
    found = signing.headers([signing.encode_secret(KEY)], message_id="msg_1", body=body, now=NOW)
    expected = hmac.new(KEY, b"msg_1.1772366400." + body, hashlib.sha256).digest()
    assert found == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1772366400",
        "webhook-signature": f"v1,{base64.b64encode(expected).decode()}",
    }


def test_two_secrets_sign_beside_each_other_while_one_replaces_the_other() -> None:
    new, old = signing.encode_secret(KEY), signing.encode_secret(KEY[::-1])
    both = signing.headers([new, old], message_id="msg_1", body=b"{}", now=NOW)["webhook-signature"]
    alone = [signing.headers([one], message_id="msg_1", body=b"{}", now=NOW)["webhook-signature"] for one in (new, old)]
    assert both == " ".join(alone)
    assert alone[0] != alone[1]
