"""Canned responses, as they are given and shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field
from sqlalchemy import RowMapping

from helpdesk.api.schemas.shared import Given, Name, Shown, Text
from helpdesk.api.schemas.sharing import SharedGiven, SharedShown, sharing
from helpdesk.domain.actions import LONGEST_REPLY
from helpdesk.domain.templates import VARIABLES

LANGUAGE = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$"


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("write something")
    return value


Tongue = Annotated[str, Field(pattern=LANGUAGE, max_length=20)]
Body = Annotated[Text, Field(min_length=1, max_length=LONGEST_REPLY), AfterValidator(_filled)]
Texts = Annotated[
    dict[Tongue, Body],
    Field(
        min_length=1,
        max_length=20,
        description=f"By language, such as `en` or `zh-CN`. Variables: {' '.join(f'{{{{{v}}}}}' for v in VARIABLES)}",
    ),
]
Shortcut = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", max_length=40)]


class CannedResponseCreate(SharedGiven):
    shortcut: Shortcut
    title: Name
    texts: Texts


class CannedResponsePatch(Given):
    """`texts` replaces them all. With whom it is shared stays."""

    shortcut: Shortcut | None = None
    title: Name | None = None
    texts: Texts | None = None


class CannedResponseShown(SharedShown):
    id: UUID
    shortcut: str
    title: str
    texts: dict[str, str]
    version: int
    created_at: datetime
    updated_at: datetime


class RenderedShown(Shown):
    """`missing` are the variables that have no value here, or none that may go out; they are left out of `text`."""

    language: str
    text: str
    missing: list[str]


def canned_response(row: RowMapping) -> dict[str, Any]:
    names = ("id", "shortcut", "title", "texts", "version", "created_at", "updated_at")
    return {**{name: row[name] for name in names}, **sharing(row)}
