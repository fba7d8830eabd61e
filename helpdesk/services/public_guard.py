"""What is said in public names nobody: refused, whoever writes it, and told by its kind and its place only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import handoff_texts, personal_data
from helpdesk.domain.plain import text_of
from helpdesk.errors import FieldError, Invalid
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import participants
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import attachments
from helpdesk.models.social import social_accounts
from helpdesk.services.reply_facts import Facts
from helpdesk.statements import Row

_A: Final = social_accounts.c
_I: Final = contact_identities.c
_P: Final = participants.c
SLUG: Final = "personal_data_in_public"
_MOST_OTHERS: Final = 100


async def check(
    session: AsyncSession, conversation: Row, content: Mapping[str, Any], facts: Facts, attachment_ids: Sequence[UUID]
) -> None:
    """Raises `Invalid` (`personal_data_in_public`, with what was `found`) for what all may not read of the contact."""
    known = await _known(session, conversation, facts)

    def look(text: str) -> list[personal_data.Found]:
        return personal_data.found_in(text, **known)

    found = [{"field": "text", **_told(one)} for one in look(content["text"])]
    if content["html"] is not None:
        found += [{"field": "html", **_told(one)} for one in look(text_of(content["html"]))]
    if attachment_ids:
        named = select(attachments.c.filename).where(attachments.c.id.in_(list(attachment_ids)))
        for filename in (await session.execute(named)).scalars():
            # A file's name has its words apart by other signs than a text.
            readable = filename.replace("_", " ").rpartition(".")[0] or filename
            found += [{"field": "attachment_ids", **_told(one)} for one in look(readable)]
    if found:
        raise _refused(found)


async def found(session: AsyncSession, conversation: Row, text: str, facts: Facts) -> list[dict[str, Any]]:
    """What `check` would refuse in the text, as it tells it."""
    known = await _known(session, conversation, facts)
    return [_told(one) for one in personal_data.found_in(text, **known)]


def _told(one: personal_data.Found) -> dict[str, Any]:
    return {"kind": one.kind, "start": one.start, "end": one.end}


def _refused(found: Sequence[Mapping[str, Any]]) -> Invalid:
    fields: dict[str, list[str]] = {}
    for one in found:
        kinds = fields.setdefault(one["field"], [])
        if one["kind"] not in kinds:
            kinds.append(one["kind"])
    errors = [
        FieldError(name, f"everybody reads this: take out {', '.join(kinds)}, or write directly")
        for name, kinds in fields.items()
    ]
    return Invalid("this says in public what is the contact's own", errors=errors, extra={"found": found}, slug=SLUG)


async def _known(session: AsyncSession, conversation: Row, facts: Facts) -> dict[str, set[str]]:
    """His names and handles on every channel, and what is allowed all the same: his `@name` here, our own addresses.

    Whoever else takes part, since matters were merged, is not named either.
    """
    there = _P.conversation_id == conversation["id"], _P.removed_at.is_(None)
    others = (await session.execute(select(_P.name, _P.handle, _P.contact_id).where(*there).limit(_MOST_OTHERS))).all()
    people = {conversation["contact_id"], *(one.contact_id for one in others)} - {None}
    account = and_(_A.channel == _I.channel, _A.external_id == _I.handle)
    query = (
        select(contacts.c.name, _I.channel, _I.handle, _I.display, _A.handle.label("called"), _A.name.label("titled"))
        .select_from(contacts)
        .outerjoin(contact_identities, _I.contact_id == contacts.c.id)
        .outerjoin(social_accounts, account)
        .where(contacts.c.id.in_(people))
    )
    names, handles = {one.name for one in others} - {""}, {one.handle for one in others} - {""}
    allowed = set[str]()
    for one in (await session.execute(query)).mappings():
        names |= {one["name"], one["display"], one["titled"]} - {None, ""}
        handles |= {one["handle"], one["called"]} - {None, ""}
        if one["channel"] == facts.channel and one["called"] and one["handle"] == facts.own:
            allowed.add(f"@{one['called']}")
    # What we are called, and our own words, whoever calls himself by one of them.
    allowed |= {words.public for words in handoff_texts.TEXTS.values()}
    ours = select(inboxes.c.handle, _A.handle.label("called"), _A.name.label("titled"))
    ours = ours.outerjoin(social_accounts, _A.inbox_id == inboxes.c.id).where(inboxes.c.deleted_at.is_(None))
    for one in (await session.execute(ours)).mappings():
        allowed |= {one["titled"]} - {None, ""}
        for handle in {one["handle"], one["called"]} - {None, ""}:
            allowed |= {handle} if "@" in handle else {f"@{handle}"}
    return {"names": names, "handles": handles, "allowed": allowed}
