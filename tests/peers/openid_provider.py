"""An OpenID provider on loopback: discovery, keys, the token endpoint with PKCE, and a browser's visit.

    with OpenIdProvider() as provider:
        ...                                    # a provider with issuer=provider.issuer
        code, state = provider.visit(url)      # what the browser would bring back

It is as strict as a good one: a code is good once, for the client, redirect URI and verifier that it was made for.
`claims` are laid over those of the next tokens, `sign` makes tokens otherwise, `rotate` changes its keys. `requests`
counts what was asked, by path.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from joserfc import jwk, jwt
from joserfc.jws import JWSRegistry

from tests.peers.loopback import Loopback

CLIENT_ID, CLIENT_SECRET = "desk", "hush: 100 %"

Sign = Callable[[dict[str, Any], dict[str, Any]], str]
"""Makes a token of a header and claims."""

_KINDS: Mapping[str, tuple[str, Any]] = {
    "RS256": ("RSA", 2048),
    "PS256": ("RSA", 2048),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}


class _Any(JWSRegistry):
    """Signs by whatever it is told to, without a word on what it thinks of that."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


ANY = _Any()


class OpenIdProvider(Loopback):
    """`person` is who is signed in there."""

    def __init__(self, *, algorithm: str = "ES256") -> None:
        super().__init__()
        self.algorithm = algorithm
        self.person: dict[str, Any] = {"sub": "u-1", "email": "anna@helpdesk.test", "email_verified": True}
        self.claims: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.sign: Sign | None = None
        self.requests: Counter[str] = Counter()
        self.status = 0
        self._codes: dict[str, dict[str, str]] = {}
        self.rotate()

    @property
    def issuer(self) -> str:
        return self.origin

    def rotate(self) -> None:
        """A new key with a new id; the old one is published no more."""
        kind, size = _KINDS[self.algorithm]
        self.key: Any = jwk.generate_key(kind, size, {"kid": secrets.token_hex(4), "use": "sig"})  # type: ignore[call-overload]

    def visit(self, url: str) -> tuple[str, str]:
        """The person agrees: the code and state that his browser is sent back with."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return code, asked["state"]

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        self.requests[request.path] += 1
        if request.path == "/.well-known/openid-configuration":
            found = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": [self.algorithm],
            }
            _answer(request, 200, found | self.metadata)
        elif request.path == "/keys":
            _answer(request, 200, {"keys": [self.key.as_dict(private=False)]})
        else:
            _answer(request, 404, {})

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        self.requests[request.path] += 1
        raw = request.rfile.read(int(request.headers.get("Content-Length", "0"))).decode()
        form = {name: values[0] for name, values in parse_qs(raw).items()}
        _answer(request, *((self.status, {}) if self.status else self._token(form, request.headers)))

    def _token(self, form: Mapping[str, str], headers: Any) -> tuple[int, dict[str, Any]]:
        if _client(form, headers) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or asked["code_challenge"] != base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            or asked["redirect_uri"] != form.get("redirect_uri")
            or asked["client_id"] != CLIENT_ID
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        sign = self.sign or self.signed
        found = sign({"alg": self.algorithm, "kid": self.key.kid}, claims | self.person | self.claims)
        return 200, {"access_token": secrets.token_urlsafe(8), "token_type": "Bearer", "id_token": found}

    def signed(self, header: dict[str, Any], claims: dict[str, Any], key: Any = None) -> str:
        return jwt.encode(header, claims, key or self.key, registry=ANY)


def _client(form: Mapping[str, str], headers: Any) -> tuple[str, str]:
    kind, _, encoded = headers.get("Authorization", "").partition(" ")
    if kind == "Basic":
        name, _, secret = base64.b64decode(encoded).decode().partition(":")
        return unquote_plus(name), unquote_plus(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


def _answer(request: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data)
