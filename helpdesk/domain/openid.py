"""OpenID Connect as rules: what is asked of a provider, and what has to be right about its answer.

The authorization code flow with PKCE (RFC 7636, S256), state and nonce, after OpenID Connect Core 1.0 section 3.1 and
the best practice of RFC 9700. An ID token counts when one of the provider's published keys has signed it, by an
algorithm of this list, for this client and this very sign-on. Neither `none` nor anything that is keyed by a shared
secret is on the list: whoever knows the client's secret could else write tokens himself.

Importing this takes long, since joserfc and Authlib bring much along: import it where somebody signs on.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwk, jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jws import JWSRegistry

ALGORITHMS: Final[Mapping[str, str]] = {
    "RS256": "RSA",
    "PS256": "RSA",
    "ES256": "EC",
    "EdDSA": "OKP",
    "Ed25519": "OKP",
}
"""By algorithm, the type of its keys. The last two are one, by its name in RFC 8037 and its name in RFC 9864."""

LEEWAY_SECONDS: Final = 60
"""How far apart the clocks of the two sides may be."""
MOST_KEYS: Final = 100
_PUBLIC: Final[Mapping[str, Sequence[str]]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_CURVES: Final = {"EC": "P-256", "OKP": "Ed25519"}
_RSA_BITS: Final = range(2048, 8193)


class Refused(Exception):
    """The answer does not count. `reason` is a word of ours for the log, never the provider's."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownKey(Refused):
    """No published key fits: the provider may have changed its keys since they were read."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a provider answers. `basic` is how the client proves itself to it, `names_issuer` is RFC 9207."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    basic: bool
    names_issuer: bool


@dataclass(frozen=True, slots=True)
class Key:
    """A published key. Without `algorithm` it is good for all that its type is good for."""

    type: str
    identifier: str | None
    algorithm: str | None
    key: Any


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the provider vouches for. `subject` is his for ever there; `email` is verified, in lower case."""

    issuer: str
    subject: str
    email: str

    @property
    def external_subject(self) -> str:
        """No issuer contains a bar, so no two people share this."""
        return f"{self.issuer}|{self.subject}"


# -- the provider itself --


def discovery_url(issuer: str) -> str:
    found: str = get_well_known_url(issuer, external=True)
    return found


def read_metadata(issuer: str, document: Any) -> Metadata:
    """A discovery document. Raises `Refused` for one that is another issuer's, or of no use here."""
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise Refused("metadata_issuer")
    flows = document.get("response_types_supported", ["code"])
    challenges = document.get("code_challenge_methods_supported", ["S256"])
    if not _lists(flows, "code") or not _lists(challenges, "S256"):
        raise Refused("metadata_flow")
    ways = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    endpoints = {name: document.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    for url in endpoints.values():
        if not isinstance(url, str) or not _is_endpoint(url, issuer):
            raise Refused("metadata_endpoint")
    return Metadata(
        issuer,
        **endpoints,  # type: ignore[arg-type]
        basic=_lists(ways, "client_secret_basic") or not _lists(ways, "client_secret_post"),
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _lists(value: Any, word: str) -> bool:
    return isinstance(value, list) and word in value


def _is_endpoint(url: str, issuer: str) -> bool:
    """As safe as the issuer itself."""
    try:
        parts = urlsplit(url)
        schemes = {"https", urlsplit(issuer).scheme}
        return parts.scheme in schemes and bool(parts.hostname) and not parts.fragment and parts.username is None
    except ValueError:
        return False


def read_keys(document: Any) -> tuple[Key, ...]:
    """A key set (RFC 7517), without those keys that are for something else, too weak, or of no known kind."""
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise Refused("keys")
    return tuple(key for one in found[:MOST_KEYS] for key in _key(one))


def _key(found: Any) -> Iterator[Key]:
    if not isinstance(found, dict) or not _is_for_signatures(found):
        return
    kind, identifier = found["kty"], found.get("kid")
    try:
        key: Any = jwk.import_key({"kty": kind, **{name: found[name] for name in _PUBLIC[kind]}}, kind)
        if kind == "RSA" and key.raw_value.key_size not in _RSA_BITS:
            return
    except (JoseError, ValueError, TypeError, KeyError):
        return
    yield Key(kind, identifier if isinstance(identifier, str) else None, found.get("alg"), key)


def _is_for_signatures(found: Mapping[str, Any]) -> bool:
    """By what it says of itself, of which anything may be of any type."""
    kind, algorithm = found.get("kty"), found.get("alg")
    return (
        isinstance(kind, str)
        and kind in _PUBLIC
        and found.get("crv") == _CURVES.get(kind)
        and found.get("use", "sig") == "sig"
        and _lists(found.get("key_ops", ["verify"]), "verify")
        and (algorithm is None or (isinstance(algorithm, str) and ALGORITHMS.get(algorithm) == kind))
    )


# -- what is asked --


def authorization_url(
    metadata: Metadata, *, client_id: str, redirect_uri: str, state: str, nonce: str, verifier: str
) -> str:
    """Where the browser goes."""
    found: str = prepare_grant_uri(
        metadata.authorization_endpoint,
        client_id,
        "code",
        redirect_uri,
        "openid email",
        state,
        nonce=nonce,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
    )
    return found


def token_request(
    metadata: Metadata, *, client_id: str, secret: str, code: str, redirect_uri: str, verifier: str
) -> tuple[dict[str, str], dict[str, str]]:
    """The form and the headers that exchange a code. A client without a secret only names itself."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    headers = {"Accept": "application/json"}
    if secret and metadata.basic:
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
        headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
    else:
        form |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
    return form, headers


# -- what is answered --


class _Registry(JWSRegistry):
    """Only the algorithms of the list. Headers that it does not know are none of its business, critical ones are."""

    max_header_length = 8192

    def __init__(self) -> None:
        super().__init__(strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise Refused("algorithm")
        return self.algorithms[name]


_REGISTRY: Final = _Registry()


def claims_of(token: str, keys: Sequence[Key]) -> CodeIDToken:
    """What a signed ID token says, still to be judged. Raises `UnknownKey`, or `Refused` for a wrong signature."""
    try:
        found = jwt.decode(token, lambda signed: _fitting(signed.headers(), keys), registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError):
        raise Refused("signature") from None
    return CodeIDToken(found.claims, found.header)


def _fitting(header: Mapping[str, Any], keys: Sequence[Key]) -> Any:
    """The one key that may have signed this: by its id, or the only one of its type where there is none."""
    algorithm, identifier = header["alg"], header.get("kid")
    fitting = [
        key
        for key in keys
        if key.type == ALGORITHMS.get(algorithm)
        and key.algorithm in (None, algorithm)
        and identifier in (None, key.identifier)
    ]
    if len(fitting) != 1:
        raise UnknownKey("key")
    return fitting[0].key


def judge(
    claims: CodeIDToken, *, issuer: str, client_id: str, nonce: str, domains: Sequence[str], now: datetime
) -> Person:
    """Whom the claims are about. Raises `Refused` with what is wrong: the claim's name, or a word on the address."""
    claims.options = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": client_id},
        "sub": {"essential": True},
    }
    claims.params = {"nonce": nonce, "client_id": client_id}
    try:
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
    except ClaimError as error:
        raise Refused(error.claim if error.claim in claims.REGISTERED_CLAIMS else "claims") from None
    subject, email = claims["sub"], claims.get("email")
    if len(subject) > 255 or not subject.isascii() or not subject.isprintable():
        raise Refused("sub")
    if claims.get("email_verified") is not True:
        raise Refused("email_unverified")
    if not isinstance(email, str) or not 3 <= len(email) <= 320 or email.count("@") != 1:
        raise Refused("email")
    address = email.lower()
    if address.partition("@")[2] not in domains:
        raise Refused("domain")
    return Person(issuer, subject, address)
