"""What races begin with (`tests.contests`): the ids of what they are about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import update

from helpdesk import clock
from helpdesk.domain.values import SYSTEM
from helpdesk.live import Feedback
from helpdesk.models.conversations import conversations, drafts
from helpdesk.models.messages import deliveries
from helpdesk.services import accounts, visitor_messages, visitor_sessions
from helpdesk.services import tags as tag_verbs
from tests import factories
from tests.house import Desk, mail
from tests.racing import URL, Scene, Track


async def plain(track: Track) -> Scene:
    return {"id": await factories.conversation(track.services, inbox_id=track.inbox)}


async def two(track: Track) -> Scene:
    """Two of one contact; the first has two messages, of which the second may go."""
    handle = f"{uuid4().hex}@customer.test"
    made = [await factories.conversation(track.services, inbox_id=track.inbox, handle=handle) for _ in range(2)]
    message_id = await factories.incoming(track.services, made[0])
    return {"id": made[0], "other": made[1], "message_id": message_id, "free": frozenset({2})}


async def answered(track: Track, *, status: str = "queued", due: timedelta) -> Scene:
    """One with an answer that leaves when that is due."""
    made = await factories.conversation(track.services, inbox_id=track.inbox)
    message_id = await track.left.house.reply(made, undo_seconds=300)
    values = {"status": status, "next_attempt_at": clock.now() + due}
    async with track.services.database.transaction() as session:
        await session.execute(update(deliveries).where(deliveries.c.message_id == message_id).values(values))
    return {"id": made, "message_id": message_id, "free": frozenset({2})}


async def deferred(track: Track) -> Scene:
    return await answered(track, due=timedelta(hours=1))


async def almost_due(track: Track) -> Scene:
    return await answered(track, due=timedelta(milliseconds=track.random.uniform(1, 12)))


async def failed(track: Track) -> Scene:
    return await answered(track, status="failed", due=timedelta())


async def chatting(track: Track) -> Scene:
    """A chat, and something else that the same visitor began; in the first he has just asked something."""
    services, at = track.services, clock.now()
    if track.chat is None:
        track.chat = await factories.inbox(services, channel="chat")
    given: dict[str, Any] = {"identity": None, "name": "Mina", "email": "", "language": "en", "fields": {}}
    async with services.database.transaction() as session:
        opened = await visitor_sessions.begin(services, session, track.chat, **given, now=at)
    said = []
    for client_id, feedback in (("first", None), ("other", Feedback())):
        how: dict[str, Any] = {"client_id": client_id, "text": "Hello?", "feedback": feedback, "now": at}
        async with services.database.transaction() as session:
            said.append(await visitor_messages.say(services, session, opened.visitor, **how))
    made, other = said
    about = {"token": opened.token, "client_id": uuid4().hex, "message_id": made.message_id}
    return {"id": made.conversation_id, "other": other.conversation_id, **about}


async def with_macro(track: Track) -> Scene:
    """One macro for all rounds: nobody may have a thousand."""
    if track.macro is None:
        identity = await accounts.identify_token(track.services.database, track.left.who.token, now=clock.now())
        track.macro = await factories.macro(track.services, by=identity.actor, shared="everybody")
    return {**await plain(track), "macro": track.macro}


async def with_job(track: Track) -> Scene:
    """A job that gives two conversations a tag that nobody has used; the race is about the second one."""
    found, tag = await two(track), uuid4().hex
    scene = {"id": found["other"], "other": found["id"]}
    body = {"ids": [str(scene["other"]), str(scene["id"])], "actions": [{"do": "tag", "add": [tag]}]}
    asked = await track.left.client.post(f"{URL}/conversations/bulk", json=body, headers=track.left.who.headers)
    return {**scene, "tag": tag, "job": UUID(asked.json()["job_id"])}


async def with_draft(track: Track) -> Scene:
    scene = await plain(track)
    async with track.services.database.transaction() as session:
        row = {"conversation_id": scene["id"], "agent_id": track.left.who.id, "content": {"text": "I"}, "version": 7}
        await session.execute(drafts.insert().values(**row, updated_at=clock.now()))
    return scene


async def with_key(track: Track) -> Scene:
    return {**await plain(track), "key": uuid4().hex}


async def promised(track: Track) -> Scene:
    """Somebody whom an answer by today is promised, with one on its way; and another matter of his, nothing in it."""
    handle, house = f"{uuid4().hex}@customer.test", track.left.house
    await house.post(Desk(track.inbox, "desk@helpdesk.test"), mail(handle, dmarc="pass"))
    await house.process()
    (made,) = await track.rows(conversations, conversations.c.contact_handle == handle)
    other = await factories.conversation(track.services, inbox_id=track.inbox, handle=handle, messages=0)
    nobody = update(conversations).where(conversations.c.id == other).values(waiting_since=None)
    async with track.services.database.transaction() as session:
        await session.execute(nobody)
    return {"id": made["id"], "other": other, "message_id": await house.reply(made["id"])}


async def answered_by_mail(track: Track) -> Scene:
    """One whom an answer has reached, and who has written back; nobody has read that yet."""
    scene = await promised(track)
    while await track.left.house.deliver():
        pass
    (sent,) = await track.rows(deliveries, deliveries.c.message_id == scene["message_id"])
    (row,) = await track.rows(conversations, conversations.c.id == scene["id"])
    text = f"Thank you, but {uuid4().hex}"
    back = mail(row["contact_handle"], text, answers=sent["external_id"], dmarc="pass")
    await track.left.house.post(Desk(track.inbox, "desk@helpdesk.test"), back)
    return {**scene, "text": text}


async def with_team(track: Track) -> Scene:
    return {**await plain(track), "team": await factories.team(track.services)}


async def with_tag(track: Track) -> Scene:
    """A tag that the conversation does not have yet."""
    async with track.services.database.transaction() as session:
        tag = await tag_verbs.create(session, name=uuid4().hex, by=SYSTEM, now=clock.now())
    return {**await plain(track), "tag": tag["name"], "tag_id": tag["id"]}


async def two_contacts(track: Track) -> Scene:
    return {**await two(track), "people": [await factories.contact(track.services) for _ in range(2)]}
