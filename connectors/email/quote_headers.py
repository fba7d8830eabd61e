"""The lines by which mail programs announce what they quote.

Four forms exist in the wild, and all of them are recognised by shape rather than by an exact sentence, because every
client translates and re-arranges its own:

* an *attribution*: ``On <date>, <name> <address> wrote:``, on one line or wrapped over several;
* a *header block*: ``From: / Sent: / To: / Subject:`` in any order and language, also flattened into one line or
  written as table rows;
* a *titled rule*: ``-----Original Message-----``;
* a *forward notice*: ``Begin forwarded message:`` above a header block.

Every function looks at a bounded number of lines of bounded length, so the cost stays linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Longer lines are prose or noise; attributions with two long addresses still fit.
MAX_HEADER_LINE = 600
_MAX_ATTRIBUTION_LINES = 6

_BIDI = dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF])

# Field labels as clients write them, spaces removed and case folded: DingTalk pads "日　期", French says "Envoyé le".
_LABELS_BY_FIELD = {
    "from": "from von de da van fra från od от від ot dari desde absender expéditeur mittente remitente "
    "remetente afsender avsender avsändare afzender nadawca odesílatel odosielateľ отправитель "
    "відправник lähettäjä kimden gönderen sender feladó από מאת من từ ngườigửi จาก dela expeditor 发件人 "
    "发信人 發件人 發信人 寄件者 寄件人 差出人 送信者 送信元 보낸사람 보낸이 发送人 來自 来自",
    "date": "date sent sentat senton datum gesendet gesendetam envoyé envoyéle enviado enviada enviadoel "
    "enviadoem enviadaem fecha data inviato inviatoil verzonden verzondenop sendt dato skickat skickades "
    "päiväys päivämäärä lähetetty pvm wysłano wysłane datawysłania odesláno odoslané dátum trimis "
    "trimisă elküldve küldve ημερομηνία στάλθηκε נשלח תאריך تاريخ التاريخ تمالإرسال أرسلت tarih "
    "gönderildi gönderilmetarihi gönderim отправлено дата надіслано đãgửi ngày ngàygửi dikirim tanggal "
    "messagedu 发送时间 发送日期 发件时间 發送時間 發送日期 寄件日期 傳送時間 傳送日期 日期 时间 時間 "
    "送信日時 送信日 日付 日時 보낸날짜 날짜 보낸시간",
    "to": "to an à a para aan til till vastaanottaja do dla komu кому đến tới người_nhận kepada kime alıcı إلى "
    "الى către catre címzett προς אל ถึง adresat recipient recipients destinataire empfänger "
    "destinatario destinatário ontvanger modtager mottagare mottaker príjemca получатель 收件人 收信人 "
    "收件者 宛先 받는사람 받는이",
    "cc": "cc kopie copie copieà kopia kopi kopio cópia copia kopiya копия копія نسخة dw bilgi másolat 抄送 "
    "抄送人 抄送至 副本 副本抄送 参照 參照 참조 ccen",
    "bcc": "bcc cci cco ccn blindkopie 密送 密件抄送 密件副本 숨은참조",
    "subject": "subject betreff objet asunto assunto oggetto onderwerp emne ämne aihe temat předmět predmet subiect "
    "tárgy тема θέμα נושא الموضوع konu chủđề tiêuđề perihal subjek เรื่อง sujet 主题 主題 主旨 标题 標題 "
    "件名 제목",
    "reply-to": "reply-to replyto risposta antwortan répondreà respondera 回复 回覆 回复地址 返信先",
    "other": "importance priority wichtigkeit priorität attachments anlagen piècesjointes 重要性 附件 邮箱 优先级 "
    "mailed-by signed-by allegati adjuntos",
}
_FIELD_BY_LABEL = {
    label.replace("_", ""): field for field, labels in _LABELS_BY_FIELD.items() for label in labels.split()
}

_FIELD_LINE = re.compile(r"[\s>|*_]*([^\s:：|*_>][^:：|]{0,30}?)[\s*_]*[:：][*_]*(.*)", re.DOTALL)
_INLINE_LABEL = re.compile(r"([^\s\d:：,;<>\"'()]{1,20})[ \u3000\xa0]?[:：]")

_ORIGINAL_WORDS = (
    "original|ursprüng|antwort|d'origine|originale|oorspronkelijk|oprindelig|opprinnelig|ursprunglig|alkuperäinen|"
    "oryginaln|původní|pôvodn|исходн|оригинал|початков|orijinal|özgün|eredeti|gốc|αρχικό|replied message|reply message|"
    "原始|原邮件|原郵件|原件|原信|原文|回复的邮件|回覆的郵件|元のメッセージ|원본|الأصلية|המקורית"
)
_FORWARD_WORDS = (
    "forwarded|weitergeleitet|transféré|transmis|réexpédié|reenviad|reencaminhad|encaminhad|inoltrat|doorgestuurd|"
    "vidarebefordra|videresend|vidaresend|välitetty|edelleenlähetetty|przekazan|przesłan|podaj dalej|přeposlan|"
    "preposlan|пересыла|переслан|переадрес|iletilen|yönlendirilen|továbbított|chuyển tiếp|diteruskan|redirecționat|"
    "προωθημ|转发|轉寄|轉發|转寄|転送|전달|معاد توجيه|الموجهة|שהועברה"
)
_ORIGINAL = re.compile(_ORIGINAL_WORDS)
_FORWARD = re.compile(_FORWARD_WORDS)

_WROTE = re.compile(
    r"(?<!\w)(?:wrote|writes|a écrit|à écrit|a ecrit|écrivait|schrieb|escribi[óo]|ha escrit[oa]?|va escriure|"
    r"ha scritto|scrisse|escreveu|schreef|skrev|skrifaði|kirjoitti|kirjutas|rakstīja|rašė|parašė|napsala?|napísala?|"
    r"napisał(?:\(a\)|a)?|napisao je|napisao|написала?|написав|пишет|пише|писал|pisze|a scris|írta|yazdı|yazmış|"
    r"έγραψε|đã viết|menulis|je napisal)(?!\w)"
    r"|写道|寫道|写到|來信|来信|写了|のメール|さんは書きました|が書きました|からのメッセージ|작성|썼습니다|쓴 글|"
    r"كتب|כתב|כתבה|เขียนว่า|เขียน",
    re.IGNORECASE,
)
# Languages that put the verb before the name or the date.
_VERB_FIRST = re.compile("schrieb|schreef|skrev|kirjoitti|كتب", re.IGNORECASE)
# What may stand between the verb and the end without being words: "napisał(a):", "написал(а):".
_AFTER_VERB = " \u00a0\u202f:：-*>()aа"
_STEM_LIST = (
    "wrote writes écri ecrit schrieb escrib escri escrev scri schreef skr kirjo kirju rakst raš naps napí napi напис "
    "пиш писа írta yazd yazm έγραψε viết menulis 写 寫 來信 来信 メール メッセージ 書き 작성 썼 쓴 "
    "pisze كتب כתב เขียน"
)
_STEMS = tuple(_STEM_LIST.split())
_LAST_WORD_LIST = """
wrote writes écrit schrieb escribió escribio escrito scritto escreveu schreef skrev kirjoitti napsal
napsala napísal napísala napisał napisała napisał(a) napisao написал написала написав пишет пише scris
írta yazdı έγραψε viết menulis 写道 寫道 작성 كتب כתב
"""
_LAST_WORDS = frozenset(_LAST_WORD_LIST.split())
_FIRST_PERSON = re.compile(
    r"\b(?:I|ich|yo|eu|jag|jeg|ik|we|wir|nous) (?:wrote|schrieb|escribí|skrev|schreef)|我[^<]{0,8}写"
)

_DATED = re.compile(
    r"(?<!\d)\d{4}(?!\d)|\d{1,2}[:.h時时點点]\d{2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d ?[年月]|\d{1,2}\.? ?[^\W\d]{3,}"
)
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_DIGIT = re.compile(r"\d")
_TIMED = re.compile(r"\d{1,2} ?[:.h時时點点] ?\d{2}")
# A date near the beginning, after at most a few short words ("On Tue, 11 ...", "El vie, 3 ...", "pe 20. ...").
_OPENING = re.compile(r"[-–—=_*\s\"]{0,40}(?:[^\s\d]{1,14}[\s,]{1,3}){0,4}[^\s\d]{0,6}\d")
_GMT_LINE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2} \d{1,2}:\d{2} GMT[+-]\d{1,2}:\d{2} \S")
_LEAD = re.compile(
    r"[-–—=_*\s]{0,40}(?:on|am|le|el|em|no dia|il|op|den|på|w dniu|dnia|dne|dňa|в|vào|la|pe|at|pada|tarihinde|في|ב|"
    r"在|于|於)[\s\d]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """A recognised block: `end` is the index after its last line, `fields` maps from/to/cc/date/subject to values."""

    end: int
    fields: dict[str, str]


def clean(line: str) -> str:
    """The line without surrounding space and without invisible direction marks (Arabic clients wrap names in them)."""
    line = line.strip()
    return line if line.isascii() or len(line) > 2 * MAX_HEADER_LINE else line.translate(_BIDI).strip()


def bare(line: str) -> str:
    """The line without its ``>`` marks."""
    return clean(line).lstrip("> ").strip()


def is_rule(line: str) -> bool:
    """A line drawn with one repeated sign: a separator without words."""
    text = clean(line)
    return len(text) >= 2 and not text.strip("-_=*~#+—–─━－＿ ")


def field_of(line: str) -> tuple[str, str] | None:
    """The header field that a line states, as (field, value), or None: ``*寄件者:* A <a@x>`` → ("from", "A <a@x>")."""
    if len(line) > MAX_HEADER_LINE or (":" not in line and "：" not in line and "|" not in line):
        return None
    text = clean(line)
    if "|" in text:
        cells = [cell.strip() for cell in text.split("|") if cell.strip()]
        field = _FIELD_BY_LABEL.get(_folded(cells[0].rstrip(":："))) if cells else None
        if field is not None:
            return field, " ".join(cells[1:])
    match = _FIELD_LINE.match(text)
    if match is None:
        return None
    field = _FIELD_BY_LABEL.get(_folded(match[1]))
    return None if field is None else (field, match[2].strip().strip("*").strip())


def _folded(label: str) -> str:
    return "".join(label.casefold().split()).strip("*_")


def header_block(lines: Sequence[str], start: int) -> HeaderBlock | None:
    """The header block that begins at `start`, or None.

    Two different fields are asked for, one of them a sender or a date, and either a subject or an address: customers
    of a wallet write ``From: bc1q… / To: bc1p…`` about their transactions, and that is no quote.
    """
    first = field_of(lines[start])
    if first is None or first[0] in {"cc", "bcc", "other"}:
        return _flattened(lines[start], start) if first is not None else None
    fields: dict[str, str] = {}
    index = start
    end = start
    last = ""
    blanks = 0
    while index < len(lines) and index - start < 24:
        line = bare(lines[index])
        stated = field_of(line)
        if stated is not None:
            if stated[0] in fields:
                break
            last = stated[0]
            fields[last] = stated[1]
            end = index + 1
            blanks = 0
        elif not line:
            blanks += 1
            if blanks > 1:
                break
        elif last and (not blanks or not fields[last]) and _field_follows(lines, index + 1):
            fields[last] = f"{fields[last]} {line}".strip()
        else:
            break
        index += 1
    fields.pop("other", None)
    return HeaderBlock(end, fields) if _convincing(fields) else _flattened(lines[start], start)


def _field_follows(lines: Sequence[str], index: int) -> bool:
    return any(field_of(bare(line)) is not None for line in lines[index : index + 2])


def _convincing(fields: dict[str, str]) -> bool:
    kinds = fields.keys()
    if len(kinds) < 2 or not ("from" in kinds or kinds >= {"date", "to"}):
        return False
    return "subject" in kinds or any("@" in fields.get(field, "") for field in ("from", "to", "cc"))


def _flattened(line: str, index: int) -> HeaderBlock | None:
    """Several fields run together on one line, as gateways leave them after stripping a block of its tags."""
    text = clean(line)
    if len(text) > MAX_HEADER_LINE or text.count(":") + text.count("：") < 3:
        return None
    found: list[tuple[str, int, int]] = []
    for match in _INLINE_LABEL.finditer(text):
        field = _FIELD_BY_LABEL.get(_folded(match[1]))
        if field is not None and field != "other" and all(field != seen for seen, _, _ in found):
            found.append((field, match.start(), match.end()))
    fields = {
        field: text[end : found[i + 1][1] if i + 1 < len(found) else None].strip()
        for i, (field, _, end) in enumerate(found)
    }
    return HeaderBlock(index + 1, fields) if len(fields) >= 3 and "from" in fields and _convincing(fields) else None


def titled_rule(line: str) -> str | None:
    """ "original" or "forward" for a rule with such a title in it, None for any other line."""
    text = clean(line).strip("*_ ")
    if len(text) > 120 or len(text) < 6:
        return None
    title = text.strip("-—–_=*─ \xa0>").casefold()
    if not text.startswith(("--", "—", "––", "__", "==", "──", "- -")) or len(title) > 60:
        return None
    if _FORWARD.search(title):
        return "forward"
    if _ORIGINAL.search(title) and text.endswith(("-", "—", "–", "_", "=", "─")):
        return "original"
    return None


def notice(lines: Sequence[str], index: int) -> bool:
    """``Begin forwarded message:``, ``回复的邮件：`` in any language: a short line above a header block."""
    text = bare(lines[index])
    if not 4 <= len(text) <= 80:
        return False
    folded = text.casefold()
    if not _FORWARD.search(folded) and not (text[-1] in ":：" and len(text) <= 40 and _ORIGINAL.search(folded)):
        return False
    following = next_filled(lines, index + 1)
    return following is not None and field_of(bare(lines[following])) is not None


def next_filled(lines: Sequence[str], index: int, *, reach: int = 8) -> int | None:
    """The index of the next line that is not empty (marks of quoting aside), at most `reach` lines on."""
    for at in range(index, min(index + reach, len(lines))):
        if bare(lines[at]):
            return at
    return None


def attribution_start(lines: Sequence[str], last: int, *, quote_follows: bool) -> int | None:
    """Where the attribution that ends on line `last` begins, or None if that line ends none.

    `quote_follows` tells that marked quotation comes next; with that much evidence a colon and a date or an address
    are enough in a language nobody listed.
    """
    if not may_end_attribution(lines[last]):
        return None
    joined = clean(lines[last])
    found = last if _attributes(joined, quote_follows=quote_follows) else None
    first = last
    for at in range(last - 1, max(last - _MAX_ATTRIBUTION_LINES, -1), -1):
        above = clean(lines[at])
        if not above:
            # Polymail leaves one empty line before the address.
            if at and first == at + 1 and joined.startswith("<"):
                first = at
                continue
            break
        if len(above) > 200:
            break
        below, joined, first = joined, f"{above} {joined}", at
        if not _may_hold_start(above):
            continue
        opens = above[0] != ">" and _OPENING.match(above) is not None and _DATED.search(above) is not None
        if found is None:
            if (opens or "@" in above or "<" in above) and _attributes(joined, quote_follows=quote_follows):
                found = at
        elif _lacks_its_start(below, above, opens=opens):
            found = at
    return found


def _may_hold_start(line: str) -> bool:
    return "@" in line or "<" in line or _DIGIT.search(line) is not None or found_verb(line) is not None


def found_verb(text: str) -> re.Match[str] | None:
    """The "wrote" of any language in `text`. The look for stems first is ten times as fast as the expression."""
    folded = text.casefold()
    return _WROTE.search(text) if any(stem in folded for stem in _STEMS) else None


def _lacks_its_start(text: str, above: str, *, opens: bool) -> bool:
    """Whether an attribution that already holds together was wrapped below its date, name or verb."""
    if text.startswith(("<", "mailto:")) or above.endswith("<"):
        return True
    if "@" not in text and "@" in above and (above.endswith(">") or _DATED.search(text) is None):
        return True
    if found_verb(text) is None and "@" in above and found_verb(above) is not None:
        return True
    if above[-1] in ":：.!?。！？":
        return False
    if _DATED.search(text) is None and opens and (_LEAD.match(above) or _TIMED.search(above)):
        return True
    return found_verb(text) is None and found_verb(above) is not None


def may_end_attribution(line: str) -> bool:
    """A cheap look at a line's last characters, which rules nearly every line out."""
    text = clean(line)
    if not text or len(text) > MAX_HEADER_LINE:
        return False
    last = text[-1]
    if last in ":：-*":
        return True
    if last == ">":
        return text[0].isdigit()
    if text.rsplit(None, 1)[-1].casefold() in _LAST_WORDS or text.endswith(("写道", "寫道")):
        return True
    if _DIGIT.search(text) is None:
        return False
    return _GMT_LINE.match(text) is not None or (
        last not in ".!?。！？,;" and _LEAD.match(text) is not None and found_verb(text) is not None
    )


def _attributes(text: str, *, quote_follows: bool) -> bool:
    text = text.rstrip("* ")
    dashed = text.startswith("--") and text.endswith("-")
    text = text.strip("-—– ") if dashed or text.startswith("-") else text
    if not text:
        return False
    colon = text[-1] in ":："
    address = "@" in text
    verb = found_verb(text)
    dated = _DATED.search(text) is not None
    if not address and not dated:
        return verb is not None and (dashed or (quote_follows and colon))
    opening = _OPENING.match(text) is not None
    timed = dated and _TIMED.search(text) is not None
    if verb is None:
        if _GMT_LINE.match(text):
            return True
        ended = colon or (text[-1] == ">" and text[0].isdigit())
        known = address and dated and (timed or text[0].isdigit()) and opening and ended
        return known or (
            quote_follows and colon and (address or (timed and _YEAR.search(text) is not None)) and len(text) < 240
        )
    if _FIRST_PERSON.search(text) and not quote_follows:
        return False
    if dashed or (quote_follows and colon):
        return True
    after = text[verb.end() :].strip(_AFTER_VERB)
    named = "<" in text or "@" in text.split(None, 1)[0]
    if not after:
        return (address and (dated or named)) or (dated and (opening or (colon and timed)))
    if not (colon or quote_follows):
        return False
    if _VERB_FIRST.fullmatch(verb[0]):
        return (address or (dated and (opening or timed))) and len(after.split()) <= 12
    # "... wrote on 5.11.2024 10:12:" is an attribution, "... wrote to me and asked:" is a story.
    return address and named and _DIGIT.search(after) is not None
