"""Exports: all that a question finds, as one long answer that is written while it is read.

For supervisors and administrators. An agent sees each of the conversations that he works on, and taking all of them
along is another matter: it is personal data in bulk, so it needs a role, is counted, and stands in the audit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from starlette.types import Receive, Send
from starlette.types import Scope as Asgi

from helpdesk import clock
from helpdesk.api import conversations, queries
from helpdesk.api.dependencies import House, allow
from helpdesk.api.problems import documented
from helpdesk.api.queries import Query
from helpdesk.api.schemas import exports as shapes
from helpdesk.api.schemas.exports import MEDIA, Form
from helpdesk.domain.filter_tree import leaves
from helpdesk.domain.values import Actor, Role, Scope
from helpdesk.errors import Forbidden, Invalid, NotFound, TooMany
from helpdesk.services import custom_fields, exporting, listing, views
from helpdesk.services.exporting import End, Found, Part
from helpdesk.services.house import Services

router = APIRouter(prefix="/api/v1/exports", tags=["exports"])

_OfConversations = Annotated[Actor, Depends(allow(Scope.CONVERSATIONS_READ, Role.SUPERVISOR))]
_OfContacts = Annotated[Actor, Depends(allow(Scope.CONTACTS_READ, Role.SUPERVISOR))]

_HOW: Final = (
    queries.choice("format", Form, "How it is written", default=Form.JSONL),
    queries.flag("bom", "In CSV, a byte order mark, without which Excel shows Chinese wrongly; true unless given"),
    queries.identifier("after", "Go on behind this one: the last that came whole, or `last` of the end before"),
)
CONVERSATIONS: Final = Query(
    *conversations.FILTERS,
    queries.flag("messages", "Each conversation's messages behind it; in jsonl"),
    *_HOW,
)
CONTACTS: Final = Query(
    queries.word("q", "In the name or a handle", most=200),
    queries.word("handle", "Exactly this handle, on any channel", most=320),
    queries.time("created_after", "At or after"),
    queries.time("created_before", "Before"),
    *_HOW,
)
_HOW_IT_IS: Final = frozenset(("format", "bom", "after", "messages"))
_LOOKED_FOR: Final = frozenset(("q", "handle", "filter"))
"""What may hold somebody's words, and is not kept."""


def _written(line: str, header: str) -> dict[int | str, dict[str, Any]]:
    text = {"type": "string"}
    forms = {
        MEDIA[Form.JSONL]: {
            "schema": text,
            "example": line + '{"end": true, "count": 1, "last": "…", "more": false}\n',
        },
        MEDIA[Form.CSV]: {"schema": text, "example": header + "\r\n#end,0,\r\n"},
    }
    return {200: {"description": "Line by line; the last line tells that it is the end", "content": forms}}


@router.get(
    "/conversations",
    summary="Export conversations",
    response_class=Response,
    responses=_written('{"conversation": {"number": 42}}\n', "id,number,…") | documented(Forbidden, NotFound, TooMany),
    openapi_extra=CONVERSATIONS.openapi,
)
async def export_conversations(request: Request, actor: _OfConversations, services: House) -> Response:
    """What the list finds with the same filters, in the order of making, 200,000 at most; 20 times in 15 minutes.

    A text without its last line was cut off. What is made after the beginning is not in it. See docs/import-export.md.
    """
    given, now = CONVERSATIONS.read(request), clock.now()
    form = given.get("format", Form.JSONL)
    messages = given.get("messages", False)
    if messages and form is Form.CSV:
        raise Invalid.field("messages", "are lines of their own, and only in the format jsonl")
    tree, _ = await views.ask(services, actor, content=given.get("filter"), view_id=given.get("view_id"))
    filters = conversations.filters_of(given, actor)
    source = exporting.of_conversations(await listing.question(services, actor, filters, tree=tree, now=now))
    fields = sorted({leaf.field for leaf in leaves(tree)}) if tree is not None else []
    part = Part(after=given.get("after"))
    found = exporting.read_conversations(services, source, part, messages=messages)
    return await _begun(services, actor, "conversations", given, found, fields=fields)


@router.get(
    "/contacts",
    summary="Export contacts",
    response_class=Response,
    responses=_written('{"contact": {"name": "Mina"}}\n', "id,name,…") | documented(Forbidden, TooMany),
    openapi_extra=CONTACTS.openapi,
)
async def export_contacts(request: Request, actor: _OfContacts, services: House) -> Response:
    """Contacts with every handle, but for those who were merged; otherwise as conversations are exported."""
    given = CONTACTS.read(request)
    asked = {name: value for name, value in given.items() if name not in _HOW_IT_IS}
    source = await exporting.of_contacts(services, actor, **asked)
    found = exporting.read_contacts(services, source, Part(after=given.get("after")))
    return await _begun(services, actor, "contacts", given, found)


async def _begun(
    services: Services,
    actor: Actor,
    what: str,
    given: Mapping[str, Any],
    found: AsyncIterator[Sequence[Found]],
    *,
    fields: Sequence[str] = (),
) -> Response:
    form: Form = given.get("format", Form.JSONL)
    first = b""
    lines: shapes.Lines = shapes.jsonl
    if form is Form.CSV:
        async with services.database.reading() as session:
            keys = await custom_fields.keys_of(session, what.removesuffix("s"))
        first, lines = shapes.csv(what, keys, bom=given.get("bom", True))
    data = {"format": form.value, "asked": _asked(given), "fields": list(fields)}
    now = clock.now()
    async with services.database.transaction() as session:
        export_id = await exporting.begin(services, session, what, data, by=actor, now=now)

    async def chunks() -> AsyncIterator[bytes]:
        count, whole = 0, False
        try:
            yield first
            async for some in found:
                yield lines(some, now)
                count += sum(not isinstance(one, exporting.Message | End) for one in some)
                whole = isinstance(some[-1], End)
        finally:
            async with services.database.transaction() as session:
                await exporting.end(session, export_id, count, whole=whole, by=actor, now=clock.now())

    suffix = f"{what}.{form.value}"
    return _Written(chunks(), media_type=MEDIA[form], filename=suffix)


def _asked(given: Mapping[str, Any]) -> dict[str, Any]:
    """For the audit: ids, closed words and times as they are; of what is looked for, that something is."""
    told: dict[str, Any] = {}
    for name in sorted(given.keys() - _HOW_IT_IS):
        value = given[name]
        some = value if isinstance(value, list) else [value]
        told[name] = True if name in _LOOKED_FOR else [str(one) for one in some]
    return told


class _Written(Response):
    """Written piece by piece, each when the one before is on its way; to nobody who has gone away."""

    def __init__(self, chunks: AsyncIterator[bytes], *, media_type: str, filename: str) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
        self.headers["X-Accel-Buffering"] = "no"
        self._chunks = chunks

    async def __call__(self, scope: Asgi, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for chunk in self._chunks:
                if watching.done():
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watching.cancel()
            await self._chunks.aclose()  # type: ignore[attr-defined]


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
