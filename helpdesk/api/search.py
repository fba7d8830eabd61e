"""Search over messages, conversations and contacts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from helpdesk.api import queries
from helpdesk.api.answers import answer
from helpdesk.api.dependencies import House, Reader
from helpdesk.api.problems import documented
from helpdesk.api.queries import PAGING, Query, page_of
from helpdesk.api.schemas import search as shapes
from helpdesk.api.schemas.search import SearchShown
from helpdesk.domain.values import Scope, Status
from helpdesk.errors import Forbidden, Invalid
from helpdesk.services import search as searching
from helpdesk.services.access import require_scope
from helpdesk.services.search import MAX_QUERY, Kind
from helpdesk.services.search_store import Within

router = APIRouter(prefix="/api/v1/search", tags=["search"])

SEARCH = Query(
    queries.needed(queries.word("q", "What to look for; every word of it has to be found", most=MAX_QUERY)),
    queries.choice("kind", Kind, "Only these; default: both, contacts if your token may read them"),
    queries.flag("spam", "Also in conversations that are spam"),
    queries.choice("status", Status, "In conversations in any of these states", repeatable=True),
    queries.identifier("inbox_id", "In conversations whose contact wrote here last", repeatable=True),
    queries.identifier("contact_id", "In conversations of any of these contacts", repeatable=True),
    queries.identifier("conversation_id", "In any of these conversations", repeatable=True),
    queries.time("after", "Written at or after"),
    queries.time("before", "Written before"),
    *PAGING,
)
_WITHIN = frozenset(Within.__dataclass_fields__)


@router.get(
    "",
    summary="Search",
    response_model=SearchShown,
    responses=documented(Forbidden),
    openapi_extra=SEARCH.openapi,
)
async def search(request: Request, actor: Reader, services: House) -> Response:
    """The best first, among what you may see: an exact number, hash or address, then what stands in the subject, then
    the rest, the newest first. The newest 2,000 matches are ranked.

    Words are found in any of their forms, simplified Chinese by traditional and back, hashes and addresses by their
    beginnings. `#123` is a conversation's number. Narrowed by status, inbox, contact, conversation or time it looks for
    messages alone.
    """
    given = SEARCH.read(request)
    q = given["q"]
    if not q.strip():
        raise Invalid.field("q", "is needed")
    reads_contacts = actor.scopes is None or Scope.CONTACTS_READ in actor.scopes
    if given.get("kind") is Kind.CONTACT:
        require_scope(actor, Scope.CONTACTS_READ)
    narrow: dict[str, Any] = {name: given[name] for name in _WITHIN & given.keys()}
    narrow |= {name: tuple(value) for name, value in narrow.items() if isinstance(value, list)}
    if narrow:
        if given.get("kind") is Kind.CONTACT:
            raise Invalid.field("kind", "contacts are not narrowed by what only messages have")
        reads_contacts = False
    kinds = [given["kind"]] if "kind" in given else [Kind.MESSAGE, *([Kind.CONTACT] if reads_contacts else [])]
    found = await searching.search(
        services, actor, q, kinds=kinds, spam=given.get("spam", False), within=Within(**narrow), page=page_of(given)
    )
    return answer(shapes.found(found))
