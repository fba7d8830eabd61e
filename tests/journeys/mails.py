"""Mails that customers write in these journeys."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from helpdesk.clock import now

CHINESE = """您好，

我昨天用 TRC20 网络转了 320 USDT 到我的钱包，浏览器上显示已确认，但是余额里没有。
截图在附件里，请帮忙查一下。

李雷

在 2026年3月2日，钱包通知 <notice@wallet.example> 写道：
> 您的转账已提交。
> 请耐心等待网络确认。
"""
ATTACHMENT = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10" + bytes(range(256)) * 8


def mail(
    subject: str,
    text: str = "Where is my withdrawal? It left my account an hour ago.\n",
    *,
    sender: str = "Li Lei <lilei@customer.example>",
    to: str = "support@wallet.example",
    in_reply_to: str = "",
    references: str = "",
    attachment: bytes | None = None,
) -> EmailMessage:
    # Python's own folding would make encoded words of a long In-Reply-To, as no mail program does.
    found = EmailMessage(policy=policy.SMTP.clone(max_line_length=900))
    found["From"], found["To"], found["Subject"] = sender, to, subject
    found["Date"] = format_datetime(now())
    found["Message-ID"] = make_msgid(domain="customer.example")
    if in_reply_to:
        found["In-Reply-To"], found["References"] = in_reply_to, references or in_reply_to
    found.set_content(text)
    if attachment is not None:
        found.add_attachment(attachment, maintype="image", subtype="png", filename="截图.png")
    return found


def answer(to: EmailMessage, text: str, *, sender: str = "Li Lei <lilei@customer.example>") -> EmailMessage:
    """What a mail program makes of "reply": to the Reply-To, with the old mail quoted below."""
    body = to.get_body(("plain",))
    quoted = "".join(f"> {line}\n" for line in (body.get_content() if body else "").splitlines())
    address = str(to["Reply-To"] or to["From"])
    return mail(
        f"Re: {to['Subject']}",
        f"{text}\n\nOn Mon, 2 Mar 2026 at 10:00, {to['From']} wrote:\n{quoted}",
        sender=sender,
        to=address,
        in_reply_to=str(to["Message-ID"]),
        references=f"{to['References'] or ''} {to['Message-ID']}".strip(),
    )
