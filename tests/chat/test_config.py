"""What an inbox of the chat can be set to, and what is said of what it cannot."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import ValidationError

from connectors.chat import origins
from connectors.chat.config import ChatConfig


def _pem(key: Any) -> str:
    found: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found.decode()


def _private_pem(key: Any) -> str:
    found: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return found.decode()


ED25519 = ed25519.Ed25519PrivateKey.generate()


def test_settings_come_as_the_command_line_gives_them_and_are_kept_as_they_are_read_again() -> None:
    given = {
        "origins": "https://wallet.example, http://localhost:8080,https://wallet.example",
        "identity_public_key": _pem(ED25519) + "\n",
        "prechat": "name*,email*, category",
        "color": "#00AAFF",
        "title_zh_tw": "客服中心",
    }
    config = ChatConfig.model_validate(given)
    assert config.origins == ["https://wallet.example", "http://localhost:8080"]
    assert config.fields == {"name": True, "email": True, "category": False}
    assert (config.color, config.vouched, config.default_language) == ("#00aaff", True, "en")
    public = config.model_dump(mode="json", exclude={"identity_secret"})
    assert ChatConfig.model_validate(public) == config


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("origins", "wallet.example", "scheme"),
        ("origins", "https://*.wallet.example", "*"),
        ("origins", "*", "*"),
        ("origins", "null", "scheme"),
        ("origins", "https://wallet.example/", "no /"),
        ("origins", "https://wallet.example/help", "no path"),
        ("origins", "https://wallet.example?x", "no path"),
        ("origins", "https://wallet.example#x", "no path"),
        ("origins", "https://mina@wallet.example", "no login"),
        ("origins", "https://Wallet.example", "lower case"),
        ("origins", "https://钱包.example", "xn--"),
        ("origins", "HTTPS://wallet.example", "scheme"),
        ("origins", "https://wallet.example:443", "leave out the port"),
        ("origins", "https://wallet.example:", "colon"),
        ("origins", "https://wallet.example:99999", "use https://"),
        ("origins", "https://", "scheme"),
        ("origins", "http://wallet.example", "use https://"),
        ("origins", "http://127.0.0.1.wallet.example", "use https://"),
        ("origins", "capacitor://localhost", "scheme"),
        ("origins", "javascript:alert(1)", "scheme"),
        ("origins", "https://[::1", "use https://"),
        ("origins", 'https://wallet.example"', "browsers"),
        ("origins", ",".join(f"https://s{n}.example" for n in range(51)), "50"),
        ("identity_secret", "x" * 31, "32"),
        ("identity_public_key", "MCowBQYDK2VwAyEA", "PEM"),
        ("identity_public_key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "PEM"),
        ("identity_public_key", _pem(ec.generate_private_key(ec.SECP256R1())), "Ed25519"),
        ("identity_public_key", _private_pem(ED25519), "private"),
        ("color", "red", "#rrggbb"),
        ("color", "#fff", "#rrggbb"),
        ("prechat", "name,phone", "any of"),
        ("prechat", "name,name*", "once"),
        ("prechat", "name**", "any of"),
        ("default_language", "de", "zh-CN"),
        ("title", "", "1 character"),
        ("tile", "Help", "not permitted"),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_its_setting(setting: str, value: str, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ChatConfig.model_validate({setting: value})
    (found,) = refused.value.errors()
    assert found["loc"][0] == setting
    assert said in found["msg"]


def test_a_secret_and_a_key_at_once_are_one_too_many() -> None:
    with pytest.raises(ValidationError, match="identity_public_key: give this or identity_secret"):
        ChatConfig.model_validate({"identity_secret": "s" * 32, "identity_public_key": _pem(ED25519)})


@pytest.mark.parametrize(
    ("base_url", "own"),
    [
        ("https://desk.example", {"https://desk.example"}),
        ("https://desk.example:443/under", {"https://desk.example"}),
        ("https://desk.example:8443", {"https://desk.example:8443"}),
        ("http://127.0.0.1:8000", {"http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"}),
        ("https://[2001:db8::1]", {"https://[2001:db8::1]"}),
        ("", set()),
    ],
)
def test_the_desk_is_its_own_origin(base_url: str, own: set[str]) -> None:
    assert origins.own(base_url) == own
