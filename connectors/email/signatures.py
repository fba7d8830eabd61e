"""Where a signature begins: delimiters, device footers, sign-offs, disclaimers.

A signature is set apart, never thrown away, so the rules may be generous - but not where they would hide what the
customer came to say. "Thanks" and "谢谢" are content; a sign-off needs to be the end of the text; and when nothing but
a guessed signature would be left over, it was the message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.email.quote_headers import clean, is_rule

# RFC 3676 4.3 gives "-- " and four lines; corporate signatures with a disclaimer run to some twenty-five.
_MAX_AFTER_DELIMITER = 25
_MAX_AFTER_RULE = 10
_MAX_AFTER_SIGN_OFF = 9
_MAX_FOOTER = 140

_FOOTER = re.compile(
    r"sent (?:from|via|using|with|by|on|through)\s|envoyée? (?:de|depuis|à partir|via|avec|par|du|d['’])|"
    r"gesendet (?:von|vom|mit|über|via|aus|durch)\s|(?:verstuurd|verzonden) (?:vanaf|met|via|vanuit|van)\s|"
    r"enviad[oa] (?:desde|de|do|da|via|pelo|pela|a partir|por|com|con|mediante)\s|"
    r"inviat[oa] (?:da|dal|dall['’]|con|tramite)|"
    r"(?:enviat|skickat|skickades|sendt|lähetetty|wysłan[eoy]|odeslán[oa]|odoslané|отправлено|надіслано|trimisă?|"
    r"(?:el)?küldve|gönderildi|poslan[oé]|saadetud|nosūtīts|išsiųsta|dikirim|terkirim|được gửi|đã gửi|gửi)\s"
    r"|(?:get|obtenir|télécharge[rz]|obtener|descargar|obter|baixar|scarica|ottieni|laden sie|holen sie sich|"
    r"download|hämta|hent|lataa|pobierz|stáhnout|скачать|загрузить) .{0,20}outlook"
    r"|get \S{2,20} for (?:ios|android|iphone|mobile)"
    r"|outlook (?:für|for|pour|para|per) (?:ios|android|iphone|mac|windows)\b.{0,16}$"
    r"|(?:von|vom|mit) (?:meinem |mein )?.{2,30}gesendet|diese nachricht wurde von mein"
    r"|from my (?:iphone|ipad|android|mobile|phone)"
    r"|az? .{2,20}(?:küldve|küldöm)|.{2,20}(?:'umdan|'ımdan|'dan|’umdan|’dan|den) gönderildi"
    r"|[^。，,]{0,20}から送信|(?:나의|내) .{2,14}(?:에서|로) ?(?:보냄|전송)|.{2,16}에서 보냄"
    r"|أ[ُ]?رسلت من|مرسل من|تم الإرسال من"
    r"|נשלח מ|ส่งจาก|εστάλη από|στάλθηκε από"
    r"|(?:发自|發自|寄自|发送自|發送自|傳送自|传送自|寄件自)(?: ?我的)?[^的。；;！!？?，,]{1,36}$"
    r"|(?:来自|來自於?) ?我的[^。；;！!？?，,]{1,24}$"
    r"|(?:来自|來自)[^的。；;！!？?，,]{1,16}(?:[邮郵信]箱|手[机機]|客[户戶]端|版|iphone|ipad)$"
    r"|(?:由|从|從|通过|透過|使用|用)(?:我的)?[^。；;！!？?，,]{1,30}(?:发送|發送|发出|發出|传送|傳送|寄出|寄送|寄件)(?:的邮件|的郵件)?$"
    r"|(?:获取|獲取|取得|下载|下載|获得)[^。；;！!？?，,]{0,20}outlook",
    re.IGNORECASE,
)
_DEVICE = re.compile(
    r"iphon|ipad|\bios\b|android|blackberry|samsung|galaxy|huawei|华为|華為|xiaomi|小米|redmi|红米|oppo|vivo|honor|荣耀|"
    r"榮耀|meizu|魅族|oneplus|一加|pixel|mobil|móvil|mÃ³vil|telefon|téléphone|phone|handy|tablet|outlook|\bmail\b|mailbox|"
    r"e-mail|yahoo|gmail|proton|tutanota|windows|\baol\b|sparrow|thunderbird|foxmail|邮箱|郵箱|信箱|邮件|郵件|手机|手機|"
    r"客户端|客戶端|平板|飞书|feishu|\blark\b|钉钉|dingtalk|网易|163|\bqq\b|wechat|微信|zimbra|nokia|sony|motorola|"
    r"verizon|airmail|\bspark\b|superhuman|mac\b|移动|電話|スマートフォン|携帯|모바일|휴대|телефон|мобильн|смартфон|почт|"
    r"cellulare|celular|kännykä|puhelim|komór|telefoon|điện thoại|هاتف|جوال|מהטלפון",
    re.IGNORECASE,
)
_MINE = re.compile(
    r"\w+ (?:from|via|using|with|von|desde|depuis|de|da|dal|do|från|fra|van|z|с|з) (?:my|mon|mi|meu|meinem|"
    r"mio|min|mitt|mijn|mojego|моего|мого)\b",
    re.IGNORECASE,
)

_SIGN_OFF_LIST = """
regards|best regards|kind regards|kindest regards|warm regards|warmest regards|many regards|with best regards|
with kind regards|best|all the best|best wishes|warm wishes|with best wishes|sincerely|sincerely yours|
yours sincerely|yours faithfully|faithfully|yours truly|yours|respectfully|respectfully yours|cordially|rgds|brgds|
kr|br|wishing you all the best|
mit freundlichen grüßen|mit freundlichen grüssen|mit freundlichem gruß|mit freundlichem gruss|freundliche grüße|
freundliche grüsse|freundlicher gruß|beste grüße|beste grüsse|viele grüße|viele grüsse|liebe grüße|liebe grüsse|
lieben gruß|schöne grüße|herzliche grüße|herzliche grüsse|grüße|grüsse|gruß|gruss|mfg|lg|vg|hochachtungsvoll|
mit besten grüßen|mit lieben grüßen|besten gruß|
cordialement|bien cordialement|bien à vous|salutations|sincères salutations|meilleures salutations|
salutations distinguées|sincèrement|respectueusement|cdlt|bien à toi|amicalement|
saludos|un saludo|saludos cordiales|un cordial saludo|cordialmente|atentamente|atte|reciba un cordial saludo|salud|
un abrazo|muchos saludos|
cumprimentos|os melhores cumprimentos|com os melhores cumprimentos|melhores cumprimentos|atenciosamente|att|
cordiais saudações|respeitosamente|abraços|um abraço|
cordiali saluti|distinti saluti|saluti|un saluto|un cordiale saluto|i migliori saluti|tanti saluti|
met vriendelijke groet|met vriendelijke groeten|vriendelijke groet|vriendelijke groeten|hoogachtend|groeten|groet|
mvg|hartelijke groet|hartelijke groeten|
med vänlig hälsning|med vänliga hälsningar|vänliga hälsningar|vänligen|hälsningar|mvh|bästa hälsningar|
med venlig hilsen|venlig hilsen|venlige hilsner|hilsen|de bedste hilsner|vh|mange hilsner|
med vennlig hilsen|vennlig hilsen|beste hilsen|
ystävällisin terveisin|terveisin|parhain terveisin|yst terv|kunnioittavasti|hyvästi|
z poważaniem|z powazaniem|pozdrawiam|pozdrowienia|serdecznie pozdrawiam|z wyrazami szacunku|do widzenia|
z pozdrowieniami|
s pozdravem|s přátelským pozdravem|zdraví|s úctou|s pozdravom|hezký den|
üdvözlettel|tisztelettel|üdv|
cu stimă|cu respect|o zi bună|
с уважением|с наилучшими пожеланиями|з повагою|з найкращими побажаннями|всего доброго|с почтением|
saygılarımla|saygılar|iyi çalışmalar|selamlar|
trân trọng|thân ái|kính thư|trân trọng kính chào|
مع التحية|مع خالص التحية|تحياتي|مع أطيب التحيات|وتفضلوا بقبول فائق الاحترام|
בברכה|με εκτίμηση|
敬具|よろしくお願いいたします|以上、よろしくお願いいたします|以上よろしくお願いいたします|よろしくお願い致します|
よろしくお願いします|
감사합니다 드림|드림|올림|
此致|敬礼|敬禮|此致敬礼|此致 敬礼|此致敬禮|此致 敬禮|祝好|祝安|顺祝商祺|順頌商祺|顺颂商祺|即颂近安|敬上|謹上|谨上|
谨启|謹啟|敬启|敬啟|祝您生活愉快|祝您工作愉快|祝工作顺利|祝工作順利|祝商祺|商祺|顺颂时祺|順頌時祺|致敬|
顺致敬意|順致敬意|致礼|致禮|最好的祝福|祝您愉快|祝您一切顺利|祝您一切順利|祝一切顺利|祝一切順利|谨致问候|
"""
_SIGN_OFFS = frozenset(phrase.strip() for phrase in _SIGN_OFF_LIST.split("|") if phrase.strip())
# What no list of whole phrases can cover: "祝" and anything short, a name and "敬上".
_WISH = re.compile(r"[顺順敬谨謹即并並]?[祝颂頌][^，。,.？?]{1,10}$|[^，。,.？?]{1,10}[敬谨謹拜][上启啟]$")
# Alone at the end these are a word of the message; above a name they are a sign-off.
_CASUAL = frozenset({"cheers", "ciao", "tschüss", "best", "yours", "br", "kr", "salud", "lg", "vg", "take care"})
_DASH_NAME = re.compile(r"[-–—]{1,2} ?[^\W\d_][\w.'’]*(?: [^\W\d_][\w.'’]*){0,2}$")

_CONFIDENTIAL = re.compile(
    r"confiden|privileged|intended (?:solely|only|recipient)|vertraulich|保密|机密|機密|本邮件|本郵件|此邮件|此郵件|"
    r"本电子邮件|本電子郵件|конфиденциал|poufn|luottamuksel|gizli|riservat|秘密",
    re.IGNORECASE,
)
# One of these is in every text that _CONFIDENTIAL matches; looking for them first is much cheaper.
_CUE_LIST = "confiden privileged intended vertraulich 密 邮件 郵件 конфиден poufn luottam gizli riservat"
_CUES = tuple(_CUE_LIST.split())
_OPENS_DISCLAIMER = re.compile(
    r"\W{0,6}(?:confidential|disclaimer|privacy|legal notice|notice|important|this (?:e-?mail|message|communication|"
    r"transmission)|the (?:information|contents?)|if you (?:are not|have received)|diese (?:e-?mail|nachricht)|"
    r"der inhalt dieser|vertraulich|ce (?:message|courriel|mail|courrier)|le contenu de ce|"
    r"este (?:mensaje|correo|e-?mail|mensagem)|esta (?:mensagem|e-?mail)|aviso|questo messaggio|questa e-?mail|"
    r"le informazioni|dit (?:bericht|e-?mail)|deze e-?mail|denna|denne|dette|tämä|ta wiadomość|niniejsz|"
    r"эт[оа] |настоящ|данн|bu (?:e-?posta|mesaj|ileti)|本[电電]?子?[邮郵]件|此[电電]?子?[邮郵]件|这封|保密|免责|"
    r"免責|机密|機密|重要提示|重要通知|声明|聲明|このメール|本メール)",
    re.IGNORECASE,
)
_MAIL_WORD = re.compile(
    r"e-?mail|message|communication|nachricht|courriel|mensaje|mensagem|messaggio|bericht|meddelande|wiadomo|письм|"
    r"сообщен|邮件|郵件|信息|資訊|mesaj|ileti|メール",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Signature:
    """Indices of the lines that are signature; `guessed` are those that only their look gives away."""

    certain: frozenset[int]
    guessed: frozenset[int]


def is_footer(line: str) -> bool:
    """A line that a phone or an app adds by itself: ``Sent from my iPhone``, ``发自我的小米手机``."""
    if len(line) > _MAX_FOOTER + 200:
        return False
    text = clean(line)
    if "<" in text or "(" in text or "[" in text:
        text = re.sub(r"<[^<>]{0,400}>|\([^()]{0,400}\)", " ", text).strip("[] ")
    text = text.strip("*_-—–| ").rstrip("!.。")
    if not 4 <= len(text) <= _MAX_FOOTER or not _FOOTER.match(text):
        return False
    if text.isascii() or " " in text[3:-3]:
        # "Sent from my desk, it is easier than from a phone": the device has to come first.
        head = text.split(",", 1)[0]
        if len(head.split()) > 12 or " to " in text or (head != text and _DEVICE.search(head) is None):
            return False
    elif len(text) > 36:
        return False
    return _DEVICE.search(text) is not None or (_MINE.match(text) is not None and len(text.split()) <= 6)


def find_signature(lines: Sequence[str], start: int, end: int) -> Signature:
    """The signature within lines[start:end], a stretch of the writer's own words up to a quote or the end."""
    filled = [at for at in range(start, end) if lines[at] and not lines[at].isspace()]
    if not filled:
        return Signature(frozenset(), frozenset())
    footers = {at for at in filled if is_footer(lines[at])}
    body = [at for at in filled if at not in footers]
    delimiter = _delimiter(lines, body)
    certain = set(footers)
    if delimiter is not None:
        certain.update(at for at in filled if at >= delimiter)
        body = [at for at in body if at < delimiter]
    while body and (is_rule(lines[body[-1]]) or clean(lines[body[-1]]) == "ᐧ"):
        certain.add(body.pop())
    guess = _guess(lines, body)
    guessed = frozenset() if guess is None else frozenset(at for at in body if at >= guess)
    return Signature(frozenset(certain), guessed)


def _delimiter(lines: Sequence[str], body: Sequence[int]) -> int | None:
    for rank in range(max(len(body) - _MAX_AFTER_DELIMITER - 1, 0), len(body)):
        at = body[rank]
        text = lines[at].strip()
        # NetEase draws the frame of its signature card with bars.
        frame = "|" in text and not text.strip("| ")
        if not is_rule(text) and text not in {"—", "–"} and not frame:
            continue
        after = body[rank + 1 :]
        if text in {"--", "—", "––", "- -"}:
            return at
        # Nobody underlines a heading of his own with underscores alone: that is a footer's or a gateway's rule.
        sentences = 1 if text.startswith("__") else 0
        if after and len(after) <= _MAX_AFTER_RULE and _looks_signed(lines, after, sentences=sentences):
            return at
    return None


def _looks_signed(lines: Sequence[str], after: Sequence[int], *, sentences: int = 0) -> bool:
    """Short lines that are no list and, but for as many as allowed, no sentences: names, numbers, links."""
    for at in after:
        text = clean(lines[at])
        if len(text) > 100 or is_rule(text):
            return False
        if text[:2] in {"- ", "* "} or (text[0].isdigit() and text[1:3] in {". ", ") "}):
            return False
        if _is_sentence(text):
            sentences -= 1
            if sentences < 0:
                return False
    return True


def _is_sentence(text: str) -> bool:
    last = text[-1:]
    if last in {"?", "？"}:
        return True
    if last not in {".", "!", "。", "！"}:
        return False
    return len(text.split()) > (3 if last == "." else 4) or (not text.isascii() and len(text) > 8)


def _guess(lines: Sequence[str], body: Sequence[int]) -> int | None:
    """The first line of what looks like sign-off, dash and name, or disclaimer at the end of `body`."""
    disclaimer = _disclaimer(lines, body)
    if disclaimer is not None:
        body = [at for at in body if at < disclaimer]
        while body and is_rule(lines[body[-1]]):
            disclaimer = body[-1]
            body = body[:-1]
    found = disclaimer
    for rank in range(len(body) - 1, max(len(body) - 2 - _MAX_AFTER_SIGN_OFF, -1), -1):
        at = body[rank]
        text = clean(lines[at])
        if len(text) > 90:
            break
        if _signs_off(text, last=rank == len(body) - 1) and _looks_signed(lines, body[rank + 1 :]):
            found = at
    if found == disclaimer and body and _names_by_dash(lines, body):
        found = body[-1]
    return found


def _signs_off(text: str, *, last: bool) -> bool:
    if len(text) > 60:
        return False
    phrase = text.casefold().rstrip(",.!，。！~、:： ").strip("*_ ")
    head = re.split(r"[,，/]", phrase, maxsplit=1)[0].strip()
    if phrase in _SIGN_OFFS or head in _SIGN_OFFS:
        rest = phrase[len(head) :].strip(" ,，/") if phrase not in _SIGN_OFFS else ""
        if len(rest.split()) > 4:
            return False
        return not (last and not rest and phrase in _CASUAL)
    if phrase in _CASUAL:
        return not last and text[-1:] in ",!"
    return not text.isascii() and _WISH.match(phrase) is not None


def _names_by_dash(lines: Sequence[str], body: Sequence[int]) -> bool:
    """``-Anna`` on the last line; with a space it could be a point of a list, and has to stand by itself."""
    last = body[-1]
    text = clean(lines[last])
    if len(body) < 2 or len(text) > 32 or _DASH_NAME.match(text) is None:
        return False
    if " " in text[:3] and (body[-2] == last - 1 or len(text.split()) > 3):
        return False
    if clean(lines[body[-2]])[-1:] in {":", "：", ","}:
        return False
    return not any(clean(lines[at])[:1] in {"-", "–", "—", "*", "•"} for at in body[-4:-1])


def _disclaimer(lines: Sequence[str], body: Sequence[int]) -> int | None:
    """The start of a closing paragraph that speaks of a confidential mail; never the only paragraph.

    It has to open like one: fraud mail, which customers paste, is full of "confidential" in its prose.
    """
    first = max(len(body) - 20, 1)
    whole = "\n".join(lines[at][:400] for at in body[first:]).casefold()
    if not any(cue in whole for cue in _CUES):
        return None
    for rank in range(first, len(body)):
        if _OPENS_DISCLAIMER.match(clean(lines[body[rank]][:200])) is None:
            continue
        near = " ".join(lines[at][:400] for at in body[rank : rank + 4])
        if _CONFIDENTIAL.search(near) is not None and _MAIL_WORD.search(near) is not None and _is_legal(near):
            return body[rank]
    return None


def _is_legal(text: str) -> bool:
    cues = len({match.casefold() for match in _CONFIDENTIAL.findall(text)})
    return cues >= 2 or len(text) > 120 or (not text.isascii() and len(text) > 40)
