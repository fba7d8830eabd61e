"""`inbox check` for the IMAP side: each step as a person would try it, stopping where the next makes no sense."""

from __future__ import annotations

from connectors.email.config import EmailConfig
from connectors.email.imap import mailbox_name
from connectors.email.imap_login import connect, logged_in
from connectors.email.imap_session import Session
from connectors.email.oauth import TokenSource
from helpdesk.channels import ChannelError, Check
from helpdesk.net import Guard


async def check_imap(config: EmailConfig, guard: Guard, tokens: TokenSource | None) -> list[Check]:
    """Connection, login, mailbox, IDLE and the mailbox for sent mail. Never raises a ChannelError."""
    server = config.imap
    if server is None:
        return []
    try:
        session = await connect(server, guard, config.ca_file)
    except ChannelError as error:
        return [Check("imap.connect", ok=False, detail=str(error))]
    await session.close()
    secured = {"implicit": "TLS", "starttls": "STARTTLS", "none": "not encrypted: use imaps:// or imap+starttls://"}
    checks = [Check("imap.connect", ok=True, detail=secured[server.tls])]
    try:
        async with logged_in(config, guard, tokens) as session:
            checks.append(Check("imap.login", ok=True))
            if config.receive == "imap":
                checks.append(await _mailbox(session, "imap.mailbox", mailbox_name(config)))
                idles = "IDLE" in session.capabilities
                detail = "new mail is told at once" if idles else f"not offered: looked every {config.poll_seconds} s"
                checks.append(Check("imap.idle", ok=True, detail=detail))
            if config.sent_mailbox:
                checks.append(await _mailbox(session, "imap.sent_mailbox", config.sent_mailbox))
    except ChannelError as error:
        # Without a login, that is what failed; later, the connection did.
        checks.append(Check("imap.login" if len(checks) == 1 else "imap.connection", ok=False, detail=str(error)))
    return checks


async def _mailbox(session: Session, name: str, mailbox: str) -> Check:
    try:
        box = await session.select(mailbox)
    except ChannelError as error:
        return Check(name, ok=False, detail=str(error))
    return Check(name, ok=True, detail=f"{box.exists} messages")
