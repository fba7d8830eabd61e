"""The manners of every schema: unknown fields are refused, text is text, times have zones."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar, cast
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

_Item = TypeVar("_Item")


def _storable(value: str) -> str:
    if "\x00" in value:
        raise ValueError("NUL characters cannot be stored")
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair
        raise ValueError("this is not Unicode: half of a surrogate pair") from None
    return value


def _one_line(value: str) -> str:
    if any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u2028\u2029" for c in value):
        raise ValueError("control characters and line breaks are not allowed")
    return value.strip()


def _as_written(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("use a time with a zone, such as 2026-01-31T09:00:00Z")
    return value


def _zoned(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("use a time with a zone, such as 2026-01-31T09:00:00Z")
    return value


def _handle(value: str) -> str:
    if not value or any(c.isspace() or c in '<>,;"' for c in value):
        raise ValueError("give one plain address or handle")
    return value


class _Drawn:
    """Says in the reference what a validator holds a text to."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": self._pattern}


_CONTROLS: Final = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
Text = Annotated[str, AfterValidator(_storable), _Drawn(r"^[^\u0000]*$")]
Line = Annotated[str, Field(max_length=200), AfterValidator(_one_line), _Drawn(f"^[^{_CONTROLS}]*$")]
Name = Annotated[
    str,
    Field(min_length=1, max_length=120),
    AfterValidator(_one_line),
    Field(min_length=1),
    _Drawn(f"^[^{_CONTROLS}]*[^{_CONTROLS}\\s][^{_CONTROLS}]*$"),
]
Handle = Annotated[
    str,
    Field(max_length=320),
    AfterValidator(_one_line),
    AfterValidator(_handle),
    _Drawn(f'^[^{_CONTROLS}\\s<>,;"]+$'),
]
When = Annotated[datetime, BeforeValidator(_as_written), AfterValidator(_zoned)]
Ids = Annotated[list[UUID], Field(max_length=500)]
Language = Annotated[Line, Field(max_length=35)]
Chosen = Annotated[list[Line], Field(max_length=200)]
Scalar = Annotated[str, Field(max_length=2000), AfterValidator(_storable)] | bool | int | float | Chosen | None
CustomFields = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_one_line)], Scalar], Field(max_length=50)
]


def _number(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("use a number")
    return value


def _literal(schema: Any) -> None:
    """Numbers are numbers and switches are switches, all the way down: `0` is no `false`, and `"1"` no `1`."""
    if isinstance(schema, dict):
        if schema.get("type") == "bool":
            schema["strict"] = True
        elif schema.get("type") in ("int", "float"):
            plain = {**schema}
            schema.clear()
            schema.update(no_info_before_validator_function(_number, cast("CoreSchema", plain)))
            return
        for key, inner in schema.items():
            if key not in ("default", "metadata"):
                _literal(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            _literal(inner)


class Given(BaseModel):
    """A request body. Nothing in it is taken for something else: what the reference refuses is refused.

    Strictness as a whole would refuse ids and times as well, which are texts in JSON.
    """

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _literal(schema)
        return schema

    def given(self) -> dict[str, Any]:
        """Only the fields that were sent, so that null and absent differ."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Shown(BaseModel):
    """An answer, for the reference; the tests hold the answers against it."""

    # What would check answers never runs. Built all the same, it would be a part of every start that people wait for.
    model_config = ConfigDict(extra="forbid", defer_build=True)


class Page(Shown, Generic[_Item]):
    items: list[_Item]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one")


class Reference(Shown):
    id: UUID
    name: str


class WrongField(BaseModel):
    """A field, or a parameter, by its dotted name, and what to do about it."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457. `type` is stable; some types have members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    errors: list[WrongField] | None = None


__all__ = [
    "CustomFields",
    "Given",
    "Handle",
    "Ids",
    "Language",
    "Line",
    "Name",
    "Page",
    "Problem",
    "Reference",
    "Scalar",
    "Shown",
    "Text",
    "When",
]
