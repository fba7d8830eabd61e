"""`helpdesk up --demo`: an inbox on the built-in door, one for the chat, a login, a token, and a few conversations."""

from __future__ import annotations

import secrets
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime

from sqlalchemy import select

from helpdesk.channels import RawInbound
from helpdesk.clock import now
from helpdesk.config import Settings
from helpdesk.domain.values import SYSTEM, Role, Scope, TokenKind
from helpdesk.models.inboxes import inboxes
from helpdesk.services import agents as agent_service
from helpdesk.services import inboxes as inbox_service
from helpdesk.services import intake, passwords, tokens
from helpdesk.services.house import Services
from helpdesk.services.keys import Keys

ADDRESS = "support@demo.example"
CHAT = "Demo chat"
AGENT = "agent@demo.example"

_MAILS = (
    (
        "Maya Lindqvist <maya.lindqvist@customer.example>",
        "Withdrawal still pending after six hours",
        """Hello,

I sent 0.42 ETH from my wallet to my exchange account this morning and it is still shown as pending.
The explorer does not find the transaction. Is my money lost?

Maya
""",
    ),
    (
        "王小明 <wang.xiaoming@customer.example>",
        "转账没有到账",
        """您好，

我昨天晚上转了 500 USDT，选择的是 TRC20 网络，到现在还没有到账。
对方说没有收到，请帮我查一下，谢谢！

王小明
""",
    ),
    (
        "陳怡君 <chen.yijun@customer.example>",
        "換手機後無法登入錢包",
        """您好：

我換了新手機，安裝之後一直顯示驗證碼錯誤，無法登入。
請問應該怎麼處理？資產還安全嗎？

陳怡君
""",
    ),
    (
        "Tom Okafor <tom.okafor@customer.example>",
        "Someone on Telegram says he is your support",
        """Hi,

a man who calls himself your support agent wrote to me on Telegram and wants my twelve words to
"synchronise" the wallet. I have not answered. Is he one of yours?

Tom
""",
    ),
)


async def prepare(services: Services, settings: Settings) -> list[str]:
    """Set the demo up once; answers the address, a login and a token. The password and token are new each time."""
    password = secrets.token_urlsafe(9)
    async with services.database.transaction() as session:
        inbox_id = await session.scalar(
            select(inboxes.c.id).where(inboxes.c.handle == ADDRESS, inboxes.c.deleted_at.is_(None))
        )
        agent = await agent_service.find_by_email(session, AGENT)
        new = inbox_id is None
        if inbox_id is None:
            given = {"address": ADDRESS, "display_name": "Demo Wallet Support", "receive": "smtp"}
            given["reply_address"] = "support+{token}@demo.example"
            inbox_id = await inbox_service.add(
                services, session, channel="email", name="Demo support", settings=given, by=SYSTEM, now=now()
            )
        chats = select(inboxes.c.id).where(inboxes.c.channel == "chat", inboxes.c.deleted_at.is_(None)).limit(1)
        if await session.scalar(chats) is None:
            asked = {"prechat": "name, email, category"}
            await inbox_service.add(services, session, channel="chat", name=CHAT, settings=asked, by=SYSTEM, now=now())
        if agent is None:
            agent_id = await agent_service.create(
                session, email=AGENT, name="Demo Agent", role=Role.ADMIN, password=password, by=SYSTEM, now=now()
            )
        else:
            agent_id = agent["id"]
            changed = {"password_hash": await passwords.hash_of(password)}
            await agent_service.edit(session, agent, changed, by=SYSTEM, now=now())
        _, token = await tokens.create_token(
            session,
            agent_id=agent_id,
            name="demo",
            kind=TokenKind.AGENT,
            scopes=[scope.value for scope in Scope],
            by=SYSTEM,
            now=now(),
        )
        if new:
            batch = [_mail(number, *mail) for number, mail in enumerate(_MAILS)]
            await intake.accept(
                services,
                session,
                Keys(services.keyring),
                batch,
                inbox_id=inbox_id,
                staged=[None] * len(batch),
                cursor=None,
                now=now(),
            )
    return [
        f"demo: write to {ADDRESS} at smtp://{settings.smtp_bind}",
        f"demo: chat at {settings.base_url}/demo",
        f"demo: log in as {AGENT} with {password}",
        f"demo: token {token}",
    ]


def _mail(number: int, sender: str, subject: str, text: str) -> RawInbound:
    received = now() - timedelta(minutes=37 * (len(_MAILS) - number))
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, ADDRESS, subject
    mail["Date"] = format_datetime(received)
    mail["Message-ID"] = f"<demo-{number}@customer.example>"
    mail.set_content(text)
    return RawInbound(position=f"demo;{number}", body=mail.as_bytes(), received_at=received)
