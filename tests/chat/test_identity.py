"""Who a host site says that a visitor is: what counts, and every way to write it oneself that does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.chat import identity
from connectors.chat.config import ChatConfig
from helpdesk.live import IdentityRefused

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
INBOX = UUID("018f3a3c-7d2e-7c11-9b1a-5d1e2f3a4b5c")
SECRET = "a secret of the host site, 32 and more"
KEY = Ed25519PrivateKey.generate()


@cache
def _pem(key: Ed25519PrivateKey = KEY) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _config(**given: Any) -> ChatConfig:
    return ChatConfig.model_validate(given)


BY_SECRET = _config(identity_secret=SECRET)
BY_KEY = _config(identity_public_key=_pem())


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _claims(**given: Any) -> dict[str, Any]:
    """What counts, but for what is `given`; None leaves a claim out."""
    claims = {"aud": str(INBOX), "sub": "4711", "jti": "once", "exp": int(NOW.timestamp()) + 600, **given}
    return {name: value for name, value in claims.items() if value is not None}


def _hs256(header: Any, claims: Any, secret: str = SECRET) -> str:
    signed = f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"
    return f"{signed}.{_b64(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def _eddsa(claims: Any, key: Ed25519PrivateKey = KEY, **header: Any) -> str:
    signed = f"{_b64(json.dumps({'alg': 'EdDSA', **header}).encode())}.{_b64(json.dumps(claims).encode())}"
    return f"{signed}.{_b64(key.sign(signed.encode()))}"


def _seconds(ahead: float) -> float:
    return NOW.timestamp() + ahead


HS = {"alg": "HS256", "typ": "JWT"}


@pytest.mark.parametrize(
    ("token", "config"),
    [
        (_hs256(HS, _claims()), BY_SECRET),
        (_eddsa(_claims()), BY_KEY),
        (_eddsa(_claims(), alg="Ed25519"), BY_KEY),
        (_hs256(HS, _claims(aud=[str(INBOX)])), BY_SECRET),
        (_hs256(HS, _claims(exp=_seconds(-59))), BY_SECRET),
        (_hs256(HS, _claims(exp=_seconds(3659.5), nbf=_seconds(59), iat=_seconds(59))), BY_SECRET),
    ],
)
def test_a_statement_of_the_host_site_counts(token: str, config: ChatConfig) -> None:
    found = identity.read(token, config, INBOX, now=NOW)
    assert (found.subject, found.proof, found.name, found.email) == ("4711", "once", "", "")


def test_what_it_vouches_for_is_taken_over_and_the_proof_is_kept_for_as_long_as_it_would_count() -> None:
    token = _eddsa(_claims(name=" Mina Park ", email="mina@wallet.example", locale="zh-Hant-HK", role="admin"))
    found = identity.read(token, BY_KEY, INBOX, now=NOW)
    assert (found.name, found.email, found.language) == ("Mina Park", "mina@wallet.example", "zh-TW")
    assert found.expires_at == NOW + timedelta(seconds=660)


_NONE = f"{_b64(json.dumps({'alg': 'none'}).encode())}.{_b64(json.dumps(_claims()).encode())}."
_GOOD = _hs256(HS, _claims())
_HEAD, _BODY, _SIGNATURE = _GOOD.split(".")
_OTHER = Ed25519PrivateKey.generate()
_JWK = {"kty": "OKP", "crv": "Ed25519", "x": _b64(_OTHER.public_key().public_bytes_raw())}

FORGED: dict[str, tuple[str, ChatConfig]] = {
    "algorithm none": (_NONE, BY_SECRET),
    "algorithm none and a signature": (_NONE + _SIGNATURE, BY_SECRET),
    "algorithm None": (_hs256({"alg": "None"}, _claims()), BY_SECRET),
    "no algorithm": (_hs256({"typ": "JWT"}, _claims()), BY_SECRET),
    "an algorithm that is a list": (_hs256({"alg": ["HS256"]}, _claims()), BY_SECRET),
    "another HMAC": (_hs256({"alg": "HS512"}, _claims()), BY_SECRET),
    "the public key as a secret": (_hs256(HS, _claims(), secret=_pem()), BY_KEY),
    "the public key as a secret, called EdDSA": (_hs256({"alg": "EdDSA"}, _claims(), secret=_pem()), BY_KEY),
    "a key pair where a secret is agreed": (_eddsa(_claims()), BY_SECRET),
    "another secret": (_hs256(HS, _claims(), secret="another secret of 32 characters and"), BY_SECRET),
    "an empty secret": (_hs256(HS, _claims(), secret=""), BY_SECRET),
    "another key": (_eddsa(_claims(), _OTHER), BY_KEY),
    "a key that comes along": (_eddsa(_claims(), _OTHER, jwk=_JWK), BY_KEY),
    "the address of a key": (_eddsa(_claims(), _OTHER, jku="https://evil.example/keys", kid="1"), BY_KEY),
    "no signature": (f"{_HEAD}.{_BODY}.", BY_SECRET),
    "half a signature": (_GOOD[:-8], BY_SECRET),
    "other claims under a signature": (
        f"{_HEAD}.{_b64(json.dumps(_claims(sub='1')).encode())}.{_SIGNATURE}",
        BY_SECRET,
    ),
    "two parts": (f"{_HEAD}.{_BODY}", BY_SECRET),
    "five parts": (f"{_GOOD}.{_BODY}.{_BODY}", BY_SECRET),
    "JSON instead of compact": (json.dumps({"payload": _BODY, "protected": _HEAD, "signature": _SIGNATURE}), BY_SECRET),
    "blanks around it": (f" {_GOOD}", BY_SECRET),
    "padding": (f"{_HEAD}=.{_BODY}.{_SIGNATURE}", BY_SECRET),
    "a header that is no JSON": (f"{_b64(b'{')}.{_BODY}.{_SIGNATURE}", BY_SECRET),
    "a header that is a number": (_hs256(7, _claims()), BY_SECRET),
    "critical header that nobody knows": (_hs256({**HS, "crit": ["x"], "x": 1}, _claims()), BY_SECRET),
    "unencoded payload": (_hs256({**HS, "crit": ["b64"], "b64": False}, _claims()), BY_SECRET),
    "claims that are a list": (_hs256(HS, [_claims()]), BY_SECRET),
    "claims that are no JSON": (_hs256(HS, float("nan")), BY_SECRET),
    "for another inbox": (_hs256(HS, _claims(aud="018f3a3c-7d2e-7c11-9b1a-000000000000")), BY_SECRET),
    "for two inboxes": (_hs256(HS, _claims(aud=[str(INBOX), "another"])), BY_SECRET),
    "for nobody": (_hs256(HS, _claims(aud=None)), BY_SECRET),
    "for an inbox in capitals": (_hs256(HS, _claims(aud=str(INBOX).upper())), BY_SECRET),
    "expired": (_hs256(HS, _claims(exp=_seconds(-61))), BY_SECRET),
    "good for a day": (_hs256(HS, _claims(exp=_seconds(86400))), BY_SECRET),
    "good for ever": (_hs256(HS, _claims(exp=None)), BY_SECRET),
    "expiry in words": (_hs256(HS, _claims(exp="2099-01-01")), BY_SECRET),
    "expiry of true": (_hs256(HS, _claims(exp=True)), BY_SECRET),
    "expiry beyond time": (_hs256(HS, _claims(exp=1e300)), BY_SECRET),
    "not good yet": (_hs256(HS, _claims(nbf=_seconds(120))), BY_SECRET),
    "written tomorrow": (_hs256(HS, _claims(iat=_seconds(86400))), BY_SECRET),
    "of nobody": (_hs256(HS, _claims(sub=None)), BY_SECRET),
    "of a blank": (_hs256(HS, _claims(sub="  ")), BY_SECRET),
    "of a number": (_hs256(HS, _claims(sub=4711)), BY_SECRET),
    "of someone endless": (_hs256(HS, _claims(sub="x" * 256)), BY_SECRET),
    "of two lines": (_hs256(HS, _claims(sub="a\nb")), BY_SECRET),
    "without an id": (_hs256(HS, _claims(jti=None)), BY_SECRET),
    "with a list for an id": (_hs256(HS, _claims(jti=["once"])), BY_SECRET),
    "an address that is none": (_hs256(HS, _claims(email="mina")), BY_SECRET),
    "an address with a header": (_hs256(HS, _claims(email="a@b.example\r\nBcc: c@d.example")), BY_SECRET),
    "a name that is an object": (_hs256(HS, _claims(name={"a": 1})), BY_SECRET),
    "longer than any": (_hs256(HS, _claims(name="x" * 5000)), BY_SECRET),
    "an inbox that takes none": (_GOOD, _config()),
}


@pytest.mark.parametrize("name", FORGED)
def test_no_other_statement_counts_and_the_refusal_repeats_nothing(name: str) -> None:
    token, config = FORGED[name]
    with pytest.raises(IdentityRefused) as refused:
        identity.read(token, config, INBOX, now=NOW)
    said = refused.value.detail
    assert said.isascii()
    assert len(said) < 60
    assert "4711" not in said
    assert SECRET not in said
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("tag", "spoken"),
    [("en-GB", "en"), ("zh", "zh-CN"), ("zh-Hans-TW", "zh-CN"), ("zh_TW", "zh-TW"), ("zh-Hant", "zh-TW"), ("de", "")],
)
def test_a_locale_is_one_of_the_languages_that_we_write_in(tag: str, spoken: str) -> None:
    assert identity.language(tag) == spoken
