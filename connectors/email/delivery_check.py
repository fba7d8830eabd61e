"""`inbox check --send`: one mail to ourselves by way of the reply address, to see that answers would arrive.

A reply address with a tag (`support+{token}@...`) that the mail server does not deliver is the one mistake that shows
itself only when a customer's answer is lost. Where the mailbox can be read, the mail is looked for in it; at the door
it is stored by another process, and the check can only say that the server took it.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from uuid import UUID

from connectors.email.compose import compose
from connectors.email.config import TOKEN_LENGTH, EmailConfig
from connectors.email.imap_login import logged_in
from connectors.email.oauth import TokenSource
from connectors.email.smtp import Sender
from helpdesk.channels import Address, ChannelError, Check, Composed, OutboundMessage
from helpdesk.clock import now
from helpdesk.net import Guard

NAME = "delivery"
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 2.0


async def check_delivery(
    config: EmailConfig,
    guard: Guard,
    tokens: TokenSource | None,
    sender: Sender | None,
    *,
    patience: float = PATIENCE_SECONDS,
) -> Check:
    """Send, and look for it for `patience` seconds. Never raises a ChannelError."""
    if sender is None:
        return Check(NAME, ok=False, detail="smtp_url is not set: nothing can be sent")
    message = compose(config, _message(config))
    to = message.recipients[0]
    try:
        receipt = await sender.send(message, at_final=_nothing_to_commit)
    except ChannelError as error:
        return Check(NAME, ok=False, detail=error.detail)
    if receipt.refused:
        return Check(NAME, ok=False, detail=f"The mail server refused {to} ({receipt.refused[0].code})")
    if config.receive != "imap":
        return Check(NAME, ok=True, detail=f"The mail server took a mail to {to}: see that it comes in at the door")
    try:
        arrived = await _arrives(config, guard, tokens, message, patience)
    except ChannelError as error:
        return Check(NAME, ok=False, detail=error.detail)
    if arrived:
        return Check(NAME, ok=True, detail=f"A mail to {to} arrived")
    return Check(
        NAME,
        ok=False,
        detail=f"A mail to {to} was taken, but did not arrive within {patience:.0f} s: does the server deliver"
        " addresses with a tag to this mailbox?",
    )


def _message(config: EmailConfig) -> OutboundMessage:
    # Shaped like a token and signed by nobody, so that it leads to no conversation. Automatic, so that nothing answers.
    token = base64.b32encode(secrets.token_bytes(23)).decode().lower()[:TOKEN_LENGTH]
    address = config.reply_address.replace("{token}", token) if config.reply_address else config.address
    return OutboundMessage(
        message_id=UUID(bytes=secrets.token_bytes(16), version=4),
        client_token=secrets.token_hex(16),
        to=(Address(address),),
        subject="Delivery test",
        text="This mail was sent by the helpdesk to itself, to see whether answers to it would arrive.",
        created_at=now(),
        automatic=True,
    )


async def _nothing_to_commit() -> None:
    """There is no row behind this mail."""


async def _arrives(
    config: EmailConfig, guard: Guard, tokens: TokenSource | None, message: Composed, patience: float
) -> bool:
    server = config.imap
    if server is None:
        return False
    until = asyncio.get_running_loop().time() + patience
    async with logged_in(config, guard, tokens) as session:
        while True:
            await session.select(server.mailbox)
            if await session.with_message_id(message.external_id):
                return True
            if asyncio.get_running_loop().time() >= until:
                return False
            await asyncio.sleep(PAUSE_SECONDS)
