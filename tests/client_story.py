"""A morning of an integration, told with the typed client that is generated from the reference; checked by mypy, too.

`helpdesk_client` is there only once `tests/api/test_client.py` has generated it.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from helpdesk_client import AuthenticatedClient
from helpdesk_client.api.account import read_me
from helpdesk_client.api.conversations import change_conversation, list_conversations, read_conversation
from helpdesk_client.api.messages import create_message, list_messages
from helpdesk_client.api.search import search
from helpdesk_client.api.webhooks import add_webhook
from helpdesk_client.models import (
    ConversationDetail,
    ConversationMoved,
    ConversationPatch,
    ConversationPatchPriorityType0,
    ListConversationsStatusItem,
    Me,
    MessageCreate,
    MessageShown,
    PageConversationItem,
    PageMessageShown,
    Problem,
    SearchShown,
    WebhookCreate,
    WebhookMade,
)


@dataclass(frozen=True)
class Told:
    """What was seen on the way, for the test to judge."""

    me: Me
    listed: list[UUID]
    moved: ConversationMoved
    answer: MessageShown
    repeated: MessageShown
    changed: ConversationDetail
    stale: Problem
    lacking: Problem
    thread: list[MessageShown]
    found: SearchShown
    webhook: WebhookMade


async def tell(address: str, token: str) -> Told:
    async with AuthenticatedClient(address, token, raise_on_unexpected_status=True) as client:
        me = await read_me.asyncio(client=client)
        assert isinstance(me, Me)
        mine = await list_conversations.asyncio(client=client, status=[ListConversationsStatusItem.OPEN], limit=10)
        assert isinstance(mine, PageConversationItem)
        conversation_id = mine.items[0].id

        hasty = MessageCreate(text="We are looking into it.", seen_seq=0)
        moved = await create_message.asyncio(conversation_id, client=client, body=hasty, idempotency_key="one")
        assert isinstance(moved, ConversationMoved)
        body = MessageCreate(text="It has arrived.", seen_seq=moved.messages[-1].seq)
        answer = await create_message.asyncio(conversation_id, client=client, body=body, idempotency_key="two")
        assert isinstance(answer, MessageShown)
        repeated = await create_message.asyncio(conversation_id, client=client, body=body, idempotency_key="two")
        assert isinstance(repeated, MessageShown)

        read = await read_conversation.asyncio_detailed(conversation_id, client=client)
        version = read.headers["ETag"]
        urgent = ConversationPatch(priority=ConversationPatchPriorityType0.URGENT, tags=["withdrawal"])
        changed = await change_conversation.asyncio(conversation_id, client=client, body=urgent, if_match=version)
        assert isinstance(changed, ConversationDetail)
        stale = await change_conversation.asyncio(conversation_id, client=client, body=urgent, if_match=version)
        assert isinstance(stale, Problem)
        lacking = await read_conversation.asyncio(me.id, client=client)
        assert isinstance(lacking, Problem)

        thread = await list_messages.asyncio(conversation_id, client=client)
        assert isinstance(thread, PageMessageShown)
        found = await search.asyncio(client=client, q="withdrawal")
        assert isinstance(found, SearchShown)
        given = WebhookCreate(name="Pager", url="https://pager.example.com/hook", events=["sla.breached"])
        webhook = await add_webhook.asyncio(client=client, body=given)
        assert isinstance(webhook, WebhookMade)
        listed = [item.id for item in mine.items]
        return Told(me, listed, moved, answer, repeated, changed, stale, lacking, thread.items, found, webhook)
