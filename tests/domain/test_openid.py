"""Which published keys count, and how a client proves itself to a provider."""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from typing import Any

import pytest
from joserfc import jwk

from helpdesk.domain.openid import Metadata, Refused, read_keys, read_metadata, token_request


@cache
def _published(kind: str, size: Any, **given: Any) -> dict[str, Any]:
    key: Any = jwk.generate_key(kind, size, {"kid": "one", **given})  # type: ignore[call-overload]
    found: dict[str, Any] = key.as_dict(private=False)
    return found


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "new"},
        {"kty": ["RSA"]},
        "a word",
        _published("EC", "P-384"),
        _published("OKP", "X25519"),
        _published("EC", "P-256", use="enc"),
        {**_published("EC", "P-256"), "alg": "HS256"},
        {**_published("EC", "P-256"), "alg": ["ES256"]},
        {**_published("EC", "P-256"), "key_ops": 7},
    ],
)
def test_keys_of_no_use_are_passed_over_and_the_others_count(key: Any) -> None:
    (found,) = read_keys({"keys": [key, _published("EC", "P-256", alg="ES256"), key]})
    assert (found.type, found.identifier, found.algorithm) == ("EC", "one", "ES256")


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, "keys"])
def test_what_is_no_key_set_is_refused(document: Any) -> None:
    with pytest.raises(Refused):
        read_keys(document)


def _metadata(**given: Any) -> Metadata:
    issuer = "https://id.example.com"
    endpoints = dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), f"{issuer}/x")
    return read_metadata(issuer, {"issuer": issuer, **endpoints, **given})


@pytest.mark.parametrize("url", ["http://id.example.com/token", "https://a:b@id.example.com/", "https://[x/", "", 7])
def test_endpoints_are_as_safe_as_the_issuer(url: Any) -> None:
    with pytest.raises(Refused):
        _metadata(token_endpoint=url)


def test_a_secret_is_escaped_where_it_is_sent_as_a_password() -> None:
    given: Any = {"client_id": "de:sk", "code": "c", "redirect_uri": "r", "verifier": "v"}
    form, headers = token_request(_metadata(), secret="100 %", **given)
    assert b64decode(headers["Authorization"].removeprefix("Basic ")) == b"de%3Ask:100+%25"
    assert "client_secret" not in form
    form, headers = token_request(_metadata(), secret="", **given)
    assert (form["client_id"], "client_secret" in form, "Authorization" in headers) == ("de:sk", False, False)
    posts = _metadata(token_endpoint_auth_methods_supported=["client_secret_post"])
    form, headers = token_request(posts, secret="100 %", **given)
    assert (form["client_secret"], "Authorization" in headers) == ("100 %", False)
