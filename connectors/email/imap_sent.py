"""The mailbox for sent mail: a copy of what was sent, and the place to look when a sending's end was not seen.

Both find a message by its Message-ID, which is fixed before the first attempt. Some providers file a copy themselves as
soon as they take a mail by SMTP; that copy is found here too, and no second one is made.
"""

from __future__ import annotations

from datetime import datetime

from connectors.email.config import EmailConfig
from connectors.email.imap_login import logged_in
from connectors.email.imap_session import Session
from connectors.email.oauth import TokenSource
from helpdesk.channels import Misconfigured
from helpdesk.net import Guard


async def append_sent(
    config: EmailConfig, guard: Guard, tokens: TokenSource | None, *, body: bytes, message_id: str
) -> bool:
    """Keep a copy, marked as read; False when one is there already. Raises a ChannelError; the mailbox is not created.

    A connection that dies in the middle leaves it open whether the copy was kept: calling this again finds out.
    """
    async with logged_in(config, guard, tokens) as session:
        if await _find(session, config, message_id) is not None:
            return False
        await session.append(config.sent_mailbox, body)
        return True


async def find_sent(
    config: EmailConfig, guard: Guard, tokens: TokenSource | None, *, message_id: str
) -> datetime | None:
    """When the copy of this message was filed, None when there is none. Raises a ChannelError."""
    async with logged_in(config, guard, tokens) as session:
        return await _find(session, config, message_id)


async def _find(session: Session, config: EmailConfig, message_id: str) -> datetime | None:
    if not config.sent_mailbox:
        raise Misconfigured("sent_mailbox is not set")
    await session.select(config.sent_mailbox)
    uids = await session.with_message_id(message_id)
    found = await session.describe(uids) if uids else []
    return min((one.received_at for one in found), default=None)
