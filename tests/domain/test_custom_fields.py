"""Values of custom fields, by type."""

from __future__ import annotations

from typing import Any

import pytest

from helpdesk.domain import custom_fields
from helpdesk.domain.contents import Wrong

OPTIONS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("text", "", ""),
        ("number", 7, 7),
        ("number", -0.5, -0.5),
        ("boolean", False, False),
        ("date", "2024-02-29", "2024-02-29"),
        ("choice", "green", "green"),
        ("multi_choice", ["blue", "red", "blue"], ["red", "blue"]),
        ("url", "https://example.com/tx?id=1", "https://example.com/tx?id=1"),
    ],
)
def test_a_value_of_its_type_is_kept(kind: str, value: Any, kept: Any) -> None:
    assert custom_fields.checked(value, kind, OPTIONS, "custom_fields.x") == kept


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", 7),
        ("text", "x" * 2001),
        ("text", "a\x00"),
        ("number", "7"),
        ("number", True),
        ("number", float("nan")),
        ("number", float("inf")),
        ("boolean", 1),
        ("boolean", "true"),
        ("date", "2023-02-29"),
        ("date", "20240229"),
        ("date", "2024-W09-4"),
        ("date", "2024-02-29T00:00:00Z"),
        ("date", 20240229),
        ("choice", "Green"),
        ("choice", ["green"]),
        ("multi_choice", "green"),
        ("multi_choice", []),
        ("multi_choice", ["green", "pink"]),
        ("url", "example.com"),
        ("url", "javascript:alert(1)"),
        ("url", "https://bank.com@evil.test"),
        ("url", "https://"),
        ("url", "https://a b"),
        ("url", "https://[::1"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(Wrong) as refused:
        custom_fields.checked(value, kind, OPTIONS, "custom_fields.x")
    assert refused.value.field == "custom_fields.x"


@pytest.mark.parametrize(
    ("key", "kind", "options", "field"),
    [
        ("", "text", [], "key"),
        ("Chain", "text", [], "key"),
        ("1st", "text", [], "key"),
        ("a-b", "text", [], "key"),
        ("x" * 41, "text", [], "key"),
        ("x\n", "text", [], "key"),
        ("chain", "choice", [], "options"),
        ("chain", "text", ["eth"], "options"),
        ("chain", "multi_choice", ["eth", "eth"], "options"),
    ],
)
def test_a_field_that_cannot_be_is_refused(key: str, kind: str, options: list[str], field: str) -> None:
    with pytest.raises(Wrong) as refused:
        custom_fields.check(key, kind, options)
    assert refused.value.field == field
