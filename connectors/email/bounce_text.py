"""Bounces written in prose: which addresses a mail system says it could not reach, and why.

No table of mail systems: they differ in words, but all of them put the failed address on a line of its own, at the
start of a line that goes on with the reason, or behind a label. So every address above the returned message is ranked
by how it stands in its line, and the best rank wins. All expressions have bounded repetitions and see bounded text.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from helpdesk.channels import FailedRecipient

_HEAD = 24_000
_LINE = 1_000
_LINES = 400

_RETURNED = re.compile(
    r"^[ \t\r\u00a0\u3000>|*-]{0,40}(?:"
    r"-{2,}\s{0,3}(?:below (?:this|the next) line|(?:the )?(?:header|body"
    r"|headers) of (?:the )?(?:original|message)|original message"
    r"|this is a copy|returned (?:mail|message)|message (?:header|text|body)|mensaje original"
    r"|unsent message|forwarded message)"
    r"|-{4,}\s{0,3}(?:undelivered message|original|message|mail|header)|(?:the )?original (?:message"
    r"|mail) (?:follows|as follows|is attached|below)"
    r"|old message:|message headers?(?: and [\w ]{1,30})? follows?|message contents? follows?"
    r"|below is (?:a copy|the)|included is a copy"
    r"|a copy of (?:the|your) (?:original )?message|(?:the first \d{1,5} lines"
    r"|headers?) of your original message|a summary of the undelivered message"
    r"|-+returned mail follows|\|-+ message text follows|your (?:original )?message (?:follows|reads)"
    r"|(?:begin|start) of (?:the )?(?:returned|original) (?:mail|message)|--+\s{0,3}附件|以下.{0,12}(?:原|コピー)"
    r"|-{3,}\s{0,3}原始邮件"
    r"|content-type: message/rfc822"
    r")",
    re.IGNORECASE | re.MULTILINE,
)
_TRACE = re.compile(
    r"^[ \t>|]{0,12}(?:return-path|received|delivered-to|dkim-signature|x-received)\s{0,2}:",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&*+/=?^_`{"
    r"|}~.'\u0080-\uffff-]{1,80}@(?:[A-Za-z0-9\u0080-\uffff_-]{1,63}\.){0,8}[A-Za-z0-9\u0080-\uffff-]{1,63}"
)
_OPENING = re.compile(
    r"(?:could|can|was|is|were|has)\s{0,2}(?:not|n['’]t)\s{1,3}(?:be\s{1,3}|been\s{1,3}"
    r"|able\s{1,3}to\s{1,3})?(?:successfully\s)?(?:deliver|send|sent|reach|process)"
    r"|(?:un)able to (?:deliver|send)|cannot be delivered|unable to be delivered|did not reach"
    r"|delivery (?:of|to|has|attempt|fail|status)"
    r"|undeliverable|undelivered|permanent(?:ly)? (?:fatal )?(?:error|fail)|following (?:address|recipient|user)"
    r"|user(?:'s)? (?:unknown|mailbox|account)|unknown user|no such user|mailbox (?:full|unavailable"
    r"|exceed|is full|quota)"
    r"|returned (?:to sender|because|mail)|has been returned|trouble delivering"
    r"|was (?:automatically )?rejected|failed addresses"
    r"|invalid (?:user|final delivery|recipient|address)|error (?:occurred|delivering|while)"
    r"|an error was detected|message contained one or more recipient"
    r"|transcript of session|message (?:was )?not (?:been )?delivered|has not been delivered"
    r"|failure reasons|may not exist"
    r"|automatically generated delivery status|intended recipient|reporting-mta:|final-recipient:"
    r"|duplicated message-id"
    r"|n'a pas pu|no pudo ser|не может быть доставлено|konnte nicht|nicht zugestellt|非 ?送信|送信できませんでした"
    r"|送信に失敗|配信でき"
    r"|无法(?:发送|投递|送达)|無法(?:傳送|投遞|送達)|投递失败|退回|被退",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"\bdelay(?:ed)?\b|warning message only|advisory-only|has been postponed|will (?:continue|keep"
    r"|be retried|try|retry)"
    r"|(?:attempts|delivery) will (?:continue|be)|not yet been delivered|still (?:trying|being)"
    r"|could not send mail for past|temporar(?:y|ily) (?:delay|defer)"
    r"|you do not need to resend",
    re.IGNORECASE,
)
_FINAL = re.compile(
    r"permanent(?:ly)?\b.{0,20}(?:error|fail)|failed permanently|giving up|given up"
    r"|no further (?:delivery )?attempts",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:final-recipient|original-recipient|recipients?(?: address)?|error-for|generated (?:from|by)"
    r"|failed (?:address|recipient)|undeliverable to"
    r"|delivery (?:to|of email to)|addressed to email address|intended recipient|rejected recipient"
    r"|unable to deliver (?:the )?(?:message|mail|email)? ?to|permanent errors"
    r"|mail to|message to|delivering your mail to|problem(?:s)? (?:with|delivering to)"
    r"|did not reach the following recipient|sent to)"
    r"[^@\n]{0,24}$",
    re.IGNORECASE,
)
_NOT_ONE = re.compile(
    r"(?:mail from|envelope-from|contact|write to|e-?mail us|support(?: at)?|notify|sender|reply[- ]to"
    r"|return-path|mailto:|[?=/]|orig_?from|message-id|in-reply-to"
    r"|references|from[^@\n]{0,12}|(?<![a-z])id|help(?:desk)? at|hello|dear|hi|hallo|bonjour|hola"
    r"|list address)[\s:=<\[(\"']{0,6}$",
    re.IGNORECASE,
)
_HEADER_LINE = re.compile(
    r"\s{0,8}(?:from|cc|sent|subject|date|sender|reply-to|message-id|x-[\w-]{1,30}|list-[\w-]{1,20})\s{0,3}:",
    re.IGNORECASE,
)
_TO_LINE = re.compile(r"\s{0,8}to\s{0,3}:", re.IGNORECASE)
_REPLY_CODE = re.compile(r"(?<![\d.])([245]\d\d)(?:[ -]|: )")
_STATUS = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.])")
_RCPT = re.compile(r"rcpt to\s?:", re.IGNORECASE)
_STOP = ("postmaster@", "mailer-daemon@", "abuse@", "support@", "helpdesk@", "noreply@", "no-reply@")


def head(text: str) -> str:
    """The report itself: what stands above the returned message."""
    text = text[:_HEAD]
    cut = len(text)
    for expression in (_RETURNED, _TRACE):
        match = expression.search(text, 0, cut)
        if match is not None and match.start() > 20:
            cut = match.start()
    return text[:cut]


def returned(text: str) -> str:
    """The pasted returned message, header first, or an empty string."""
    text = text[:_HEAD]
    mark = _RETURNED.search(text)
    trace = _TRACE.search(text, mark.end() if mark else 0)
    if mark is None and trace is None:
        return ""
    if mark is None or (trace is not None and trace.start() - mark.end() < 400):
        start = trace.start() if trace is not None else 0
    else:
        start = text.find("\n", mark.end()) + 1
    lines = [line.lstrip(" \t|>") if _indented(line) else line for line in text[start:].lstrip("\n").split("\n")[:200]]
    return "\n".join(lines)


def _indented(line: str) -> bool:
    """Whether a header line was indented as a whole (` Received: …`), not folded."""
    bare = line.lstrip(" \t|>")
    name, colon, _ = bare.partition(":")
    return bool(colon) and line != bare and len(name) < 40 and name.replace("-", "").isalnum()


def opens_like_a_bounce(text: str) -> bool:
    """Whether the report above the returned message speaks of a delivery that failed."""
    return bool(_OPENING.search(head(text)[:4_000]))


def tells_of_delay(text: str) -> bool:
    """Whether delivery goes on being tried: nothing has failed yet."""
    report = head(text)
    return bool(_DELAY.search(report)) and not _FINAL.search(report)


def recipients(text: str, *, exclude: Collection[str], delayed: bool, clear: bool = False) -> list[FailedRecipient]:
    """The addresses that the report says were not reached. `exclude` are those of the report's own header.

    With `clear` only those count that stand on a line of their own or behind a label.
    """
    lines = [line[:_LINE] for line in head(text).split("\n")[:_LINES]]
    ranked: list[tuple[int, int, str]] = []
    for number, line in enumerate(lines):
        if "@" not in line:
            continue
        for match in _ADDRESS.finditer(line):
            address = match[0].strip("'.`")
            # X.400 addresses carry ours as one of their attributes: `dda:SMTP=joe@example.com`.
            address = address[5:] if address[:5].lower() == "smtp=" else address
            rank = (
                0
                if "..." in address + line[match.end() : match.end() + 3]
                else _rank(line, match.start(), match.end(), address, exclude)
            )
            if rank:
                ranked.append((rank, number, address))
    if not ranked:
        return []
    best = max(rank for rank, _, _ in ranked)
    if clear and best < 4:
        return []
    chosen = [(number, address) for rank, number, address in ranked if rank == best]
    found: dict[str, FailedRecipient] = {}
    for at, (number, address) in enumerate(chosen):
        end = chosen[at + 1][0] if at + 1 < len(chosen) else len(lines)
        status, why = reason("\n".join(lines[number : max(end, number + 1)]))
        if not status:
            status, why = reason("\n".join(lines)) if len(chosen) == 1 else ("", why)
        found.setdefault(address.lower(), FailedRecipient(address, not delayed, status, why))
    return list(found.values())


def _rank(line: str, start: int, end: int, address: str, exclude: Collection[str]) -> int:
    """How much an address in a line looks like the one that failed; 0 for one that does not."""
    before, after = line[:start], line[end:]
    lead = before.strip(" \t<\"'>-*|[(:")
    if _NOT_ONE.search(before) and not _LABEL.search(before):
        return 0
    known = address.lower() in exclude
    if _TO_LINE.match(line):
        return 0 if known else 1
    if _HEADER_LINE.match(line):
        return 0
    if _LABEL.search(before):
        rank = 4
    elif not lead:
        rank = 5
    elif _REPLY_CODE.search(before) or _RCPT.search(before):
        rank = 3
    elif lead.endswith(":"):
        rank = 4 if not after.strip(" \t>.\"')]") else 3
    else:
        rank = 2
    if known:
        return 1 if rank > 3 else 0
    return min(rank, 2) if address.lower().startswith(_STOP) and rank < 4 else rank


def reason(text: str) -> tuple[str, str]:
    """The enhanced status code (RFC 3463) that a piece of a report names, and the line that says why."""
    report = head(text) if len(text) > 2_000 else text
    fallback = ""
    for line in report.split("\n")[:_LINES]:
        line = line[:_LINE]
        status = _STATUS.search(line)
        if status is not None:
            return status[1], " ".join(line.split())[:300]
        code = _REPLY_CODE.search(line)
        if code is not None and code[1][0] in "45" and not fallback:
            fallback = " ".join(line.split())[:300]
    if fallback:
        code = _REPLY_CODE.search(fallback)
        return (f"{code[1][0]}.0.0" if code else ""), fallback
    return "", ""
