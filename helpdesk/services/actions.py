"""Doing to a conversation what `domain.actions` has words for, whoever asks for it: a ladder, a macro, a rule, a job.

Every action goes through the verb that an agent's own request would take, so that events, clocks and refusals are the
same. The caller holds the conversation's lock; an action that is refused raises and has changed nothing that a
savepoint around it would not undo.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from helpdesk.domain import actions as domain
from helpdesk.domain.actions import (
    ME,
    Action,
    Alert,
    Assign,
    Categorise,
    HandOver,
    Note,
    Post,
    Prioritise,
    Reply,
    SetField,
    SetStatus,
    Tag,
    Watch,
)
from helpdesk.domain.contents import Wrong
from helpdesk.domain.values import Actor
from helpdesk.errors import Invalid
from helpdesk.models.conversations import conversation_tags, conversations
from helpdesk.services import (
    alerts,
    automatic_replies,
    canned_responses,
    categories,
    custom_fields,
    replies,
    versions,
    watchers,
    webhook_deliveries,
)
from helpdesk.services import conversations as conversation_verbs
from helpdesk.services import webhooks as webhook_verbs
from helpdesk.services.alerts import Subject
from helpdesk.services.house import Services
from helpdesk.services.reply_writing import Draft
from helpdesk.statements import Row

_POSTS: Final = UUID("b6f0c1f6-5d1c-5a55-9a0e-6b1f0f6f6a10")
"""The namespace of the ids under which webhooks are told: what has the same cause is told once."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is done. `key` names it once and for all: what is called or posted twice under it goes out once.

    `type` and `data` are what a webhook is told, besides the conversation's number. `rule_id`: a rule has it done.
    """

    key: str
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    rule_id: UUID | None = None


async def act(
    services: Services,
    session: AsyncSession,
    conversation: Row,
    action: Action,
    *,
    by: Actor,
    cause: Cause,
    now: datetime,
) -> Row:
    """Do it in the locked conversation; answers its row as it is then. Without a difference nothing is written.

    Raises whatever the verb behind it raises: `NotFound`, `Invalid`, `Conflict`, `Forbidden`.
    """
    return await _ACTIONS[type(action)](_Doing(services, session, conversation, by, cause, now), action)


async def check(
    session: AsyncSession,
    given: Sequence[Mapping[str, Any]],
    place: str,
    *,
    allowed: Sequence[str],
    me: bool = False,
    by: Actor,
) -> None:
    """Raises `Invalid` naming the field where actions are not in their form, or name what is not there for `by`."""
    try:
        domain.check_all(given, place, allowed=allowed, me=me)
    except Wrong as wrong:
        raise Invalid.field(wrong.field, wrong.reason) from None
    named = list(domain.mentions(given, place))
    await versions.check_mentions(session, [one for one in named if one[1] != "canned_response"])
    for name, kind, subject_id in named:
        if kind == "canned_response" and await canned_responses.find(session, by, subject_id) is None:
            raise Invalid.field(name, "there is no such canned response")
    named_so = [(f"{place}.{n}.to", one["to"]) for n, one in enumerate(given) if one["do"] == Categorise.do]
    await categories.check(session, named_so, new=True)
    for number, action in enumerate(given):
        if action["do"] == SetField.do:
            wanted = {action["key"]: action["value"]}
            await custom_fields.check(session, "conversation", wanted, place=f"{place}.{number}.value")


@dataclass(frozen=True, slots=True)
class _Doing:
    services: Services
    session: AsyncSession
    conversation: Row
    by: Actor
    cause: Cause
    now: datetime

    async def change(self, **wanted: Any) -> Row:
        how: dict[str, Any] = {"by": self.by, "now": self.now}
        return await conversation_verbs.change(self.services, self.session, self.conversation, wanted, **how)

    async def say(self, draft: Draft) -> Row:
        """Answers the row anew: a message has moved its counters."""
        found: Any = self.conversation
        await replies.reply(self.services, self.session, found, draft, by=self.by, now=self.now)
        return await self.anew()

    async def anew(self) -> Row:
        query = select(conversations).where(conversations.c.id == self.conversation["id"])
        return (await self.session.execute(query)).mappings().one()


async def _assign(at: _Doing, action: Assign) -> Row:
    if action.agent_id == ME and at.by.id is None:
        raise Invalid.field("agent_id", "nobody runs this, whom “me” could mean")
    return await at.change(assignee_id=at.by.id if action.agent_id == ME else action.agent_id)


async def _hand_over(at: _Doing, action: HandOver) -> Row:
    return await at.change(team_id=action.team_id)


async def _prioritise(at: _Doing, action: Prioritise) -> Row:
    return await at.change(priority=int(action.to))


async def _set_status(at: _Doing, action: SetStatus) -> Row:
    """For another while, where it is snoozed already."""
    until = {} if action.snooze is None else {"snoozed_until": at.now + action.snooze}
    return await at.change(status=action.to.value, **until)


async def _categorise(at: _Doing, action: Categorise) -> Row:
    return await at.change(category=action.to)


async def _tag(at: _Doing, action: Tag) -> Row:
    before = await tags_of(at.session, at.conversation["id"])
    after = (before | set(action.add)) - set(action.remove)
    if len(after) > max(domain.MOST_TAGS, len(before)):
        raise Invalid.field("tags", f"a conversation has at most {domain.MOST_TAGS}")
    return await at.change(tags=sorted(after))


async def tags_of(session: AsyncSession, conversation_id: UUID) -> set[str]:
    query = select(conversation_tags.c.tag).where(conversation_tags.c.conversation_id == conversation_id)
    return set((await session.execute(query)).scalars())


async def _set_field(at: _Doing, action: SetField) -> Row:
    return await at.change(custom_fields={action.key: action.value})


async def _watch(at: _Doing, action: Watch) -> Row:
    conversation = at.conversation
    for agent_id in action.agent_ids:
        conversation = await watchers.add(at.session, conversation, agent_id, by=at.by, now=at.now)
    return conversation


async def _post(at: _Doing, action: Post) -> Row:
    """Raises `NotFound`: only a setting as it is now keeps its webhook from being removed."""
    await webhook_verbs.get_webhook(at.session, action.webhook_id)
    type_, data = at.cause.type, {**at.cause.data, "number": at.conversation["number"]}
    await webhook_deliveries.queue(
        at.session,
        action.webhook_id,
        event_id=uuid5(_POSTS, at.cause.key),
        type=type_,
        body=webhook_deliveries.body_of(type_, at.now, data),
        now=at.now,
    )
    return at.conversation


async def _call(at: _Doing, action: Alert) -> Row:
    subject = Subject(at.cause.key, "escalation")
    how: dict[str, Any] = {"data": at.cause.data, "now": at.now}
    await alerts.call(at.services, at.session, subject, [action], at.conversation, **how)
    return at.conversation


async def _note(at: _Doing, action: Note) -> Row:
    return await at.say(Draft(text=action.text, private=True))


async def _reply(at: _Doing, action: Reply) -> Row:
    """Raises `Invalid` where a variable has no value: nobody is sent a text with a hole in it."""
    if at.cause.rule_id is not None:
        conversation: Any = at.conversation
        how: dict[str, Any] = {"rule_id": at.cause.rule_id, "by": at.by, "now": at.now}
        await automatic_replies.reply(at.services, at.session, conversation, action, **how)
        return await at.anew()
    if action.canned_response_id is not None:
        response = await canned_responses.get(at.session, at.by, action.canned_response_id)
        rendered = await canned_responses.render(at.session, response, at.conversation, by=at.by)
    else:
        rendered = await canned_responses.fill(at.session, action.text or "", at.conversation, by=at.by)
    if rendered.missing:
        raise Invalid.field("text", f"nothing is known here for {', '.join(rendered.missing)}")
    return await at.say(Draft(text=rendered.text))


_ACTIONS: Final[Mapping[type[Any], Callable[[_Doing, Any], Awaitable[Row]]]] = {
    Alert: _call,
    Assign: _assign,
    Categorise: _categorise,
    HandOver: _hand_over,
    Note: _note,
    Post: _post,
    Prioritise: _prioritise,
    Reply: _reply,
    SetField: _set_field,
    SetStatus: _set_status,
    Tag: _tag,
    Watch: _watch,
}
