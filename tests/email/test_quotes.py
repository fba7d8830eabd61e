"""Quotes, signatures and forwards on mail that we wrote ourselves, after the habits of the programs people use."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.email.forwards import unwrap_forward, unwrap_forward_html
from connectors.email.html_text import html_to_text
from connectors.email.quotes import Separated, separate, separate_html


def _samples(folder: str) -> list[Any]:
    return [
        pytest.param(sample, id=f"{path.stem}: {sample['name']}")
        for path in sorted(Path(__file__).with_name(folder).glob("*.json"))
        for sample in json.loads(path.read_text(encoding="utf-8"))
    ]


def _letters(text: str) -> Counter[str]:
    return Counter("".join(text.split()))


def _joined(got: Separated) -> str:
    return got.new_text + got.signature + got.quoted


def test_there_are_enough_chinese_samples() -> None:
    assert len(_samples("samples_zh")) >= 70


@pytest.mark.parametrize("sample", _samples("samples_zh"))
def test_a_chinese_mail_is_separated(sample: dict[str, Any]) -> None:
    body = "\n".join(sample["body"])
    got = separate_html(body) if sample.get("html") else separate(body)
    if "new_text" in sample:
        assert got.new_text == "\n".join(sample["new_text"])
    assert got.new_text.startswith(sample.get("new_text_starts", ""))
    for part in sample.get("new_text_contains", []):
        assert part in got.new_text
    assert sample.get("signature_contains", "") in got.signature
    if "quoted_contains" in sample:
        assert sample["quoted_contains"] in got.quoted
        assert sample["quoted_contains"] not in got.new_text
    whole = html_to_text(body) if sample.get("html") else body
    assert _letters(whole) == _letters(_joined(got))


ATTRIBUTIONS = [
    "On Tue, 5 Nov 2024 at 10:12, Support <help@wallet.example> wrote:",
    "On Tuesday, November 5th, 2024 at 10:12 AM, Support <help@wallet.example> wrote:",
    "On 05/11/2024 10:12, Support wrote:",
    "On 2024-11-05 10:12 a.m., Support wrote:",
    "At 10:12 AM 11/5/2024, Support wrote:",
    "On Nov 5, 2024, at 10:12, Support <help@wallet.example> wrote:",
    "Support <help@wallet.example> wrote on 05.11.2024 10:12:",
    "------- Original Message -------",
    "-------- Original message --------",
    "Le mar. 5 nov. 2024 à 10:12, Support <help@wallet.example> a écrit :",
    "Le 05/11/2024 à 10:12, Support a écrit :",
    "Am Di., 5. Nov. 2024 um 10:12 Uhr schrieb Support <help@wallet.example>:",
    "Am 05.11.24 um 10:12 schrieb Support:",
    "Support <help@wallet.example> schrieb am Di., 5. Nov. 2024, 10:12:",
    "Op di 5 nov 2024 om 10:12 schreef Support <help@wallet.example>:",
    "Op 05-11-2024 om 10:12 schreef Support:",
    "El mar, 5 nov 2024 a las 10:12, Support (<help@wallet.example>) escribió:",
    "El 5/11/24 a las 10:12, Support escribió:",
    "Il giorno mar 5 nov 2024 alle ore 10:12 Support <help@wallet.example> ha scritto:",
    "Il 05/11/2024 10:12, Support ha scritto:",
    "Em ter., 5 de nov. de 2024 às 10:12, Support <help@wallet.example> escreveu:",
    "Em 05/11/2024 10:12, Support escreveu:",
    "wt., 5 lis 2024 o 10:12 Support <help@wallet.example> napisał(a):",
    "W dniu 5.11.2024 o 10:12, Support pisze:",
    "вт, 5 нояб. 2024 г. в 10:12, Support <help@wallet.example>:",
    "05.11.2024 10:12, Support пишет:",
    "Вторник, 5 ноября 2024, 10:12 +03:00 от Support <help@wallet.example>:",
    "5 ноября 2024 г., в 10:12, Support <help@wallet.example> написал(а):",
    "вт, 5 лист. 2024 р. о 10:12 Support <help@wallet.example> пише:",
    "út 5. 11. 2024 v 10:12 odesílatel Support <help@wallet.example> napsal:",
    "Dne 05. 11. 24 v 10:12 Support napsal(a):",
    "ut 5. 11. 2024 o 10:12 Support <help@wallet.example> napísal(a):",
    "Den tis 5 nov. 2024 kl 10:12 skrev Support <help@wallet.example>:",
    "Den 2024-11-05 kl. 10:12, skrev Support:",
    "tir. 5. nov. 2024 kl. 10.12 skrev Support <help@wallet.example>:",
    "Den tirs. 5. nov. 2024 kl. 10.12 skrev Support <help@wallet.example>:",
    "Den 05.11.2024 10:12, skrev Support:",
    "ti 5. marrask. 2024 klo 10.12 Support (help@wallet.example) kirjoitti:",
    "Support kirjoitti 5.11.2024 klo 10.12:",
    "2024年11月5日(火) 10:12 Support <help@wallet.example>:",
    "2024/11/05 10:12、Support <help@wallet.example>のメール:",
    "On 2024/11/05 10:12, Support wrote:",
    "2024年11月5日 10:12、Support さんは書きました:",
    "2024년 11월 5일 (화) 오전 10:12, Support <help@wallet.example>님이 작성:",
    "2024. 11. 5. 오전 10:12, Support 이(가) 쓴 글:",
    "Vào Th 3, 5 thg 11, 2024 vào lúc 10:12 Support <help@wallet.example> đã viết:",
    "في الثلاثاء، 5 نوفمبر 2024 في 10:12 ص تمت كتابة ما يلي بواسطة Support <help@wallet.example>:",
    "\u202bفي ٥ نوفمبر ٢٠٢٤، الساعة ١٠:١٢ ص، كتب \u200fSupport \u200f<help@wallet.example>:\u202c",
    "Support <help@wallet.example>, 5 Kas 2024 Sal, 10:12 tarihinde şunu yazdı:",
    "5.11.2024 10:12 tarihinde Support yazdı:",
    "În mar., 5 nov. 2024 la 10:12, Support <help@wallet.example> a scris:",
    "Pe 05.11.2024 10:12, Support a scris:",
    "Support <help@wallet.example> ezt írta (időpont: 2024. nov. 5., K, 10:12):",
    "2024. 11. 05. 10:12 keltezéssel, Support írta:",
    "Στις Τρί 5 Νοε 2024 στις 10:12 π.μ., ο χρήστης Support <help@wallet.example> έγραψε:",
    "\u202bבתאריך יום ג׳, 5 בנוב׳ 2024 ב-10:12 מאת \u202aSupport\u202c <\u202ahelp@wallet.example\u202c\u200f>:",
    "El dt., 5 de nov. 2024, 10:12, Support <help@wallet.example> va escriure:",
    "uto, 5. stu 2024. u 10:12 Support <help@wallet.example> napisao je:",
    "На вт, 5.11.2024 г. в 10:12 Support <help@wallet.example> написа:",
    "Pada tanggal Sel, 5 Nov 2024 10.12, Support <help@wallet.example> menulis:",
    "เมื่อ อ. 5 พ.ย. 2024 เวลา 10:12 Support <help@wallet.example> เขียนว่า:",
    "在 2024年11月5日，10:12，Support <help@wallet.example> 写道：",
    "Support <help@wallet.example> 於 2024年11月5日 週二 上午10:12寫道：",
    "-------- Ursprüngliche Nachricht --------",
    "-------- Message d'origine --------",
    "-------- Mensaje original --------",
    "-----Messaggio originale-----",
    "-----Mensagem original-----",
    "-----Oorspronkelijk bericht-----",
    "-----Oryginalna wiadomość-----",
    "-----Ursprungligt meddelande-----",
    "-----Opprinnelig melding-----",
    "-----Alkuperäinen viesti-----",
    "-----Původní zpráva-----",
    "-----Исходное сообщение-----",
    "-----Original-Nachricht-----",
    "-----元のメッセージ-----",
    "-----원본 메시지-----",
    "-----Orijinal Mesaj-----",
    "-----Mesaj original-----",
    "-----Eredeti üzenet-----",
    "------------------ 原始邮件 ------------------",
]


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_an_attribution_is_known_in_every_language(attribution: str) -> None:
    marked = separate(f"My answer is 42.\n\n{attribution}\n> What is the answer?\n")
    assert marked.new_text == "My answer is 42."
    bare = separate(f"My answer is 42.\n\n{attribution}\n\nWhat is the answer?\n")
    assert bare.new_text == "My answer is 42."
    assert "What is the answer?" in bare.quoted


@pytest.mark.parametrize("attribution", [each for each in ATTRIBUTIONS if len(each) > 62 and "\n" not in each])
def test_an_attribution_may_be_wrapped(attribution: str) -> None:
    at = attribution.rfind(" ", 0, 60)
    got = separate(f"My answer is 42.\n\n{attribution[:at]}\n{attribution[at + 1 :]}\n\n> What is the answer?\n")
    assert got.new_text == "My answer is 42."


HEADER_BLOCKS = [
    ("From", "Sent", "To", "Subject"),
    ("From", "Date", "To", "Subject"),
    ("Von", "Gesendet", "An", "Betreff"),
    ("De", "Envoyé", "À", "Objet"),
    ("De", "Enviado el", "Para", "Asunto"),
    ("De", "Enviada em", "Para", "Assunto"),
    ("Da", "Inviato", "A", "Oggetto"),
    ("Van", "Verzonden", "Aan", "Onderwerp"),
    ("Od", "Wysłano", "Do", "Temat"),
    ("От", "Отправлено", "Кому", "Тема"),
    ("Від", "Надіслано", "Кому", "Тема"),
    ("Od", "Odesláno", "Komu", "Předmět"),
    ("Från", "Skickat", "Till", "Ämne"),
    ("Fra", "Sendt", "Til", "Emne"),
    ("Lähettäjä", "Lähetetty", "Vastaanottaja", "Aihe"),
    ("差出人", "送信日時", "宛先", "件名"),
    ("보낸 사람", "보낸 날짜", "받는 사람", "제목"),
    ("Kimden", "Gönderildi", "Kime", "Konu"),
    ("De la", "Trimis", "Către", "Subiect"),
    ("Feladó", "Elküldve", "Címzett", "Tárgy"),
    ("Từ", "Đã gửi", "Đến", "Chủ đề"),
    ("من", "تم الإرسال", "إلى", "الموضوع"),
    ("מאת", "נשלח", "אל", "נושא"),
    ("Από", "Στάλθηκε", "Προς", "Θέμα"),
    ("发件人", "发送时间", "收件人", "主题"),
    ("寄件者", "寄件日期", "收件者", "主旨"),
]


@pytest.mark.parametrize("labels", HEADER_BLOCKS, ids="-".join)
@pytest.mark.parametrize("form", ["{}: {}", "*{}:* {}", "{}：{}", "  **{}:** {}"])
def test_a_header_block_is_known_in_every_language(labels: tuple[str, ...], form: str) -> None:
    values = ("Support <help@wallet.example>", "5 Nov 2024 10:12", "me@mail.example", "Your question")
    block = "\n".join(form.format(label, value) for label, value in zip(labels, values, strict=True))
    got = separate(f"My answer is 42.\n\n{block}\n\nWhat is the answer?\n")
    assert got.new_text == "My answer is 42."
    assert "What is the answer?" in got.quoted


FOOTERS = [
    "Sent from my iPhone",
    "Sent from my Galaxy",
    "Sent from Outlook for Android",
    "Get Outlook for iOS <https://aka.example/x>",
    "Sent from Yahoo Mail on Android",
    "Sent with Proton Mail secure email.",
    "Sent via the Samsung Galaxy S23, an AT&T 5G smartphone",
    "Von meinem iPhone gesendet",
    "Gesendet von Outlook für iOS",
    "Diese Nachricht wurde von meinem Android-Mobiltelefon gesendet.",
    "Envoyé de mon iPhone",
    "Envoyé depuis mon téléphone Orange",
    "Enviado desde mi iPhone",
    "Enviado do meu iPhone",
    "Inviato da iPhone",
    "Verstuurd vanaf mijn iPhone",
    "Wysłane z iPhone'a",
    "Отправлено с iPhone",
    "Надіслано з iPhone",
    "Odesláno z iPhonu",
    "Skickat från min iPhone",
    "Sendt fra min iPhone",
    "Lähetetty iPhonesta",
    "iPhoneから送信",
    "나의 iPhone에서 보냄",
    "iPhone'umdan gönderildi",
    "Trimis de pe iPhone-ul meu",
    "Elküldve az iPhone-omról",
    "Đã gửi từ iPhone của tôi",
    "أُرسلت من الـ iPhone",
    "发自我的iPhone",
    "发自我的华为手机",
    "发自 Outlook for iOS",
    "来自我的 iPad",
    "来自网易手机邮箱",
    "获取适用于 iOS 的 Outlook",
    "由我的 Galaxy 手机发送",
    "從我的 iPhone 傳送",
]


@pytest.mark.parametrize("footer", FOOTERS)
def test_a_device_footer_is_signature(footer: str) -> None:
    got = separate(f"The code does not arrive.\n\n{footer}\n")
    assert got.new_text == "The code does not arrive."
    assert footer.split("<")[0].strip() in got.signature


@pytest.mark.parametrize(
    "text",
    [
        "Sent from my desk, this is much easier than typing on a mobile phone.",
        "On the one hand it works.\nOn the other hand it is slow.\n\nOn balance: fine.",
        "On 3 May 2024 at 10:30 I sent 0.5 ETH to the address below.\nNothing arrived.",
        "I tried three things:\n- restart\n- reinstall\n- another phone",
        "From: bc1qexample\nTo: bc1pexample\nDate: 2024-11-05\nAmount: 0.1 BTC\n\nWhere is it?",
        "Date: Wednesday 3 October\nTime: 7:00\nPlace: main office\n\nSee you there.",
        "Please read the following:\n\nIt fails with: error 5: timeout",
        "In 2019 your colleague wrote: we never ask for a phrase. Is that still so?",
        "Regards to the whole team! One more question though: where is the export?",
        "The list:\n----\n1. first\n2. second\n----\nThat was the list.",
        "Best,\nor at least good enough, would be a refund of the network fee to my account.",
        "Thanks",
        "2024-11-05 10:12 sent\n2024-11-05 10:15 confirmed\n2024-11-05 10:20 still missing",
        "Error log:\n[10:12:33] connect: timeout\n[10:12:34] retry: timeout",
        "My mail is me@mail.example:\nplease write there.",
        "Dear Support Team,",
        "Is it you?\n\nWrite in confidence: keep this message confidential and send\nyour privileged phrase to us.",
        "On 3 May 2024 at 10:30 your agent wrote me that I should wait\nbut nothing came.",
        "A man wrote me on 5 Nov 2024 at 10:12 and asked for my phrase:\n\nplease tell us your words",
        "Someone with the address help@phish.example wrote to me and said:\n\nyour wallet is frozen",
        "Am 5. Mai 2024 hat mir jemand geschrieben, der sich als Support ausgab:\n\nIhr Konto ist gesperrt",
        "Sent it from my phone yesterday, and it still has not arrived.",
        "Sent from my phone to the exchange\nNothing there.",
        "Outlook for Windows crashes when I open your newsletter",
        "I tried the following:\n- restart",
        "Name: Anna\nDate: 5 Nov 2024\nSubject: lost funds\n\nPlease help.",
        "客服在2024年5月3日给我写信说三天内退款：\n\n现在已经五天了",
        "来自手机银行的转账一直没到",
        "发自手机的短信收不到",
        "姓名：张三\n邮箱：zhang@mail.example\n日期：2024年5月3日\n主题：充值问题\n\n请处理",
    ],
)
def test_what_only_looks_like_a_quote_stays(text: str) -> None:
    assert separate(text).new_text == text


def test_answers_between_quotes_stay_with_their_questions() -> None:
    got = separate(
        "On 5 Nov 2024 at 10:12, Support <help@wallet.example> wrote:\n"
        "> Which version?\n5.2\n> Which phone?\nA Pixel.\n> Regards\n> Tom\n"
    )
    assert got.new_text == "> Which version?\n5.2\n> Which phone?\nA Pixel."
    assert got.quoted.startswith("On 5 Nov 2024")
    assert "> Tom" in got.quoted


def test_an_answer_below_the_quote_is_the_new_text() -> None:
    got = separate("On 5 Nov 2024, at 10:12, Support wrote:\n\n> Which version?\n>\n> Tom\n\nVersion 5.2\n")
    assert got.new_text == "Version 5.2"


def test_a_line_that_the_writer_quoted_by_hand_stays() -> None:
    text = "> three working days\nIt has been five."
    assert separate(text).new_text == text


def test_a_mail_that_is_all_quote_is_shown() -> None:
    assert separate("> Only this.").new_text == "> Only this."


def test_a_signature_is_kept_when_asked() -> None:
    text = "Hello\n\n-- \nAnna\nACME"
    assert separate(text) == Separated("Hello", "-- \nAnna\nACME", "")
    assert separate(text, keep_signature=True) == Separated(text, "", "")


def test_a_sign_off_with_name_and_title_is_signature() -> None:
    got = separate("It works now.\n\nKind regards,\nAnna Schmidt\nHead of Finance\n+49 30 000000\n")
    assert got.new_text == "It works now."
    assert got.signature.startswith("Kind regards,")


def test_a_sign_off_that_is_the_whole_mail_is_shown() -> None:
    assert separate("Best regards\nAnna").new_text == "Best regards\nAnna"


def test_words_after_a_sign_off_keep_it_in_sight() -> None:
    text = "It works.\n\nBest wishes,\nTom\n\nBut one more thing: does the new version really need the camera?"
    assert separate(text).new_text == text


def test_a_disclaimer_is_signature() -> None:
    got = separate(
        "Please confirm.\n\nThis e-mail and its attachments are confidential and intended only for the addressee. "
        "If you are not the intended recipient, delete this message."
    )
    assert got.new_text == "Please confirm."


def test_windows_line_ends_change_nothing() -> None:
    text = "Hi\n\nOn 5 Nov 2024, at 10:12, Support wrote:\n\n> x\n"
    assert separate(text.replace("\n", "\r\n")) == separate(text)


@pytest.mark.parametrize("sample", _samples("samples_quotes"))
def test_the_habits_of_mail_programs_are_known(sample: dict[str, Any]) -> None:
    text = "\n".join(sample["body"])
    got = separate(text)
    assert got.new_text == "\n".join(sample["new_text"])
    assert _letters(_joined(got)) == _letters(text)


def test_words_typed_into_the_signature_box_are_shown() -> None:
    got = separate_html('<div id="Signature"><div>Where is my money?</div><div>Anna</div></div>')
    assert got.new_text == "Where is my money?\nAnna"


def test_an_empty_outlook_reply_is_empty() -> None:
    assert separate_html(HTML_QUOTES["outlook web"]).new_text == ""


HTML_QUOTES = {
    "gmail": '<div class="gmail_quote"><div class="gmail_attr">On Tue, 5 Nov 2024 at 10:12, S wrote:'
    '<br></div><blockquote class="gmail_quote">QUOTED</blockquote></div>',
    "apple": '<div><br><blockquote type="cite"><div>On 5 Nov 2024, at 10:12, S &lt;s@w.example&gt; wrote:</div><br>'
    "<div>QUOTED</div></blockquote></div>",
    "thunderbird": '<div class="moz-cite-prefix">Am 05.11.24 um 10:12 schrieb S:<br></div>'
    '<blockquote type="cite" cite="mid:1@w.example"><p>QUOTED</p></blockquote>',
    "outlook web": '<div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>From:</b> S &lt;s@w.example&gt;<br>'
    "<b>Sent:</b> Tuesday<br><b>To:</b> me<br><b>Subject:</b> Re: x</div><div>QUOTED</div>",
    "outlook desktop": "<div style='border:none;border-top:solid #E1E1E1 1.0pt'><p class=MsoNormal><b>Von:</b> S<br>"
    "<b>Gesendet:</b> Dienstag<br><b>An:</b> me<br><b>Betreff:</b> AW: x</p></div><p class=MsoNormal>QUOTED</p>",
    "yahoo": '<div id="yahoo_quoted_1" class="yahoo_quoted"><div>On Tuesday, November 5, 2024, 10:12, S wrote:</div>'
    "<div>QUOTED</div></div>",
    "zimbra": '<hr id="zwchr"><div><b>From: </b>"S" &lt;s@w.example&gt;<br><b>To: </b>me<br><b>Sent: </b>Tuesday<br>'
    "<b>Subject: </b>x<br></div><div>QUOTED</div>",
    "proton": '<div class="protonmail_quote">------- Original Message -------<br>On Tuesday, S wrote:<br><br>'
    '<blockquote class="protonmail_quote" type="cite">QUOTED</blockquote></div>',
    "zoho": '<div class="zmail_extra_hr"></div><div class="zmail_extra"><div>---- On Tue, 05 Nov 2024 10:12:00 +0100 '
    "S wrote ---</div><blockquote>QUOTED</blockquote></div>",
    "gmx": '<div name="quote" style="margin:10px 5px;border-left:2px solid #C3D9E5"><div><b>Gesendet:</b> Dienstag, 5. '
    "November 2024 um 10:12 Uhr<br><b>Von:</b> S &lt;s@w.example&gt;<br><b>An:</b> me<br><b>Betreff:</b> x</div>"
    "<div>QUOTED</div></div>",
    "lark": '<div class="history-quote-wrapper" id="lark-mail-quote-1"><div>From: S</div><div>QUOTED</div></div>',
    "mail master": '<div class="ntes-mailmaster-quote"><div>---- Replied Message ----</div><div>QUOTED</div></div>',
    "yandex": "<div>05.11.2024, 10:12, &quot;S&quot; &lt;s@w.example&gt;:</div>"
    '<blockquote type="cite"><div>QUOTED</div></blockquote>',
    "mail.ru": "<div>Вторник, 5 ноября 2024, 10:12 +03:00 от S &lt;s@w.example&gt;:</div>"
    '<blockquote style="border-left:1px solid #0857A6;margin:10px;padding:0 0 0 10px"><div>QUOTED</div></blockquote>',
    "hotmail": '<hr id="stopSpelling">Date: Tue, 5 Nov 2024 10:12:00 +0100<br>Subject: Re: x<br>From: s@w.example<br>'
    "To: me@mail.example<br><br>QUOTED",
    "roundcube": '<p id="reply-intro">On 2024-11-05 10:12, S wrote:</p><blockquote type="cite" id="replybody">'
    "<div>QUOTED</div></blockquote>",
    "outlook mobile": '<div class="ms-outlook-mobile-reference-message"><hr><div id="divRplyFwdMsg"><b>From:</b> S'
    "</div>QUOTED</div>",
    "outlook mac": '<blockquote id="MAC_OUTLOOK_ATTRIBUTION_BLOCKQUOTE" style="border-left:#b5c4df 5 solid">'
    '<div class="OutlookMessageHeader">From: S<br>Date: Tuesday</div>QUOTED</blockquote>',
    "aol": '<div style="font-family:arial">-----Original Message-----<br>From: S &lt;s@w.example&gt;<br>To: me<br>'
    'Sent: Tue, Nov 5, 2024<br>Subject: x<br><div id="yiv1">QUOTED</div></div>',
    "airmail": '<p class="airmail_on">On 5 November 2024 at 10:12:00, S (s@w.example) wrote:</p>'
    '<blockquote type="cite" class="clean_bq"><div>QUOTED</div></blockquote>',
    "tutanota": "<br>5. Nov. 2024, 10:12 von s@w.example:<br>"
    '<blockquote class="tutanota_quote" style="border-left:1px solid #93A3B8">QUOTED</blockquote>',
    "kmail": "<p>Am Dienstag, 5. November 2024, 10:12:00 CET schrieb S:</p><p>&gt; QUOTED</p>",
    "coremail zh": '<div>---Original---</div><div><b>From:</b> "客服"&lt;s@w.example&gt;</div><div><b>Date:</b> Nov 5'
    ", 2024 10:12 AM</div>"
    '<div><b>To:</b> "me"</div><div><b>Subject:</b> Re: x</div><div>QUOTED</div>',
    "plain blockquote": "<div>On 11-Apr-2024, at 6:54 PM, S wrote:</div><blockquote>QUOTED</blockquote>",
}


@pytest.mark.parametrize("client", HTML_QUOTES)
def test_an_html_quote_is_set_apart(client: str) -> None:
    html = f"<style>p{{}}</style><body><p>My <b>answer</b></p><p>Two</p>{HTML_QUOTES[client]}</body>"
    got = separate_html(html)
    assert got.new_text == "My answer\n\nTwo"
    assert "QUOTED" in got.quoted
    assert _letters(html_to_text(html)) == _letters(_joined(got))


def test_an_indented_paragraph_is_the_writers_own() -> None:
    got = separate_html(
        'Steps:<blockquote style="margin:0 0 0 40px;border:none;padding:0px"><div>one</div></blockquote>Done'
    )
    assert got.new_text.split() == ["Steps:", "one", "Done"]


def test_html_becomes_readable_text() -> None:
    html = (
        "<title>no</title><style>b{}</style><script>x()</script><p>Hello&nbsp;there,<br>friend</p><ul><li>one</li><li>two"
        "</li></ul><table><tr><td>Fee</td><td>5</td></tr></table><p style='display:none'>hidden</p><p hidden>too</p>"
        "<a href='https://w.example/a'>guide</a> <a href='https://w.example'>https://w.example/</a><!-- no -->"
    )
    assert html_to_text(html).split("\n") == [
        "Hello there,",
        "friend",
        "",
        "- one",
        "- two",
        "",
        "Fee | 5",
        "",
        "guide <https://w.example/a> https://w.example/",
    ]


def test_preformatted_text_keeps_its_lines() -> None:
    assert html_to_text("<pre>a  b\n  c</pre>") == "a  b\n  c"


@pytest.mark.parametrize(
    "html",
    ["<div>" * 100_000 + "x", "<b>" * 50_000 + "x", "<table><tr><td>" * 20_000 + "x", "<p><b>" * 20_000, "<" * 100_000],
)
def test_deep_nesting_costs_no_more_than_it_weighs(html: str) -> None:
    began = time.process_time()
    separate_html(html)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "unit",
    [
        "a:\n",
        "From: a@b\n",
        "x@y wrote:\n",
        "> a\nb\n",
        "--\n",
        "On Mon, 1 Jan 2024 at 10:00\n",
        "Sent from my \n",
        "| ",
    ],
)
def test_repetition_costs_no_more_than_it_weighs(unit: str) -> None:
    began = time.process_time()
    separate(unit * 50_000)
    unwrap_forward(unit * 50_000)
    assert time.process_time() - began < 1


def test_a_long_tail_is_kept() -> None:
    text = "My answer\n\n-----Original Message-----\n" + "line\n" * 30_000
    got = separate(text)
    assert got.new_text == "My answer"
    assert _letters(_joined(got)) == _letters(text)


_LINE = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [*ATTRIBUTIONS, *FOOTERS, "> quoted", ">> twice", "-- ", "____", "Regards,", "Tom", "", "", "From: a@b"]
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_LINE, max_size=30))
def test_no_word_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert _letters(_joined(separate(text))) == _letters(text)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "<p>",
                "</p>",
                "<div>",
                "</div>",
                "<blockquote type=cite>",
                "</blockquote>",
                "<br>",
                "word ",
                "&gt; x",
                "<table>",
                "<tr><td>",
                "<b>",
                "</b>",
                "On 5 Nov 2024 at 10:12, a@b wrote:",
                "<div class=gmail_quote>",
                "<pre>\n a\n</pre>",
            ]
        ),
        max_size=40,
    )
)
def test_no_word_of_html_is_lost(pieces: list[str]) -> None:
    html = "".join(pieces)
    assert _letters(_joined(separate_html(html))) == _letters(html_to_text(html))


FORWARD_MARKS = [
    "---------- Forwarded message ----------",
    "---------- Forwarded message ---------",
    "-------- Weitergeleitete Nachricht --------",
    "-------- Message transféré --------",
    "-------- Mensaje reenviado --------",
    "-------- Messaggio inoltrato --------",
    "-------- Mensagem encaminhada --------",
    "-------- Doorgestuurd bericht --------",
    "-------- Przekazana wiadomość --------",
    "-------- Пересылаемое сообщение --------",
    "-------- 转发的邮件 --------",
    "-------- 轉寄的郵件 --------",
    "-------- 転送メッセージ --------",
    "Begin forwarded message:",
    "Anfang der weitergeleiteten Nachricht:",
    "Début du message transféré :",
    "Inizio messaggio inoltrato:",
    "以下是转发的邮件：",
]


@pytest.mark.parametrize("mark", FORWARD_MARKS)
def test_a_forwarded_mail_is_unwrapped(mark: str) -> None:
    text = (
        f"Is this real?\n\n{mark}\n\nFrom: Bank <info@bank.example>\nDate: 5 Nov 2024 10:12\nSubject: Your card\n"
        "To: me@mail.example\nCc: you@mail.example\n\nClick here.\nNow."
    )
    got = unwrap_forward(text)
    assert got is not None
    assert (got.sender, got.to, got.cc) == ("Bank <info@bank.example>", "me@mail.example", "you@mail.example")
    assert (got.date, got.subject, got.body) == ("5 Nov 2024 10:12", "Your card", "Click here.\nNow.")
    assert got.comment == "Is this real?"
    assert separate(text).new_text == "Is this real?"


def test_a_forwarded_html_mail_is_unwrapped() -> None:
    got = unwrap_forward_html(
        '<div dir="ltr">看一下</div><div class="gmail_quote"><div class="gmail_attr">------ Forwarded message -----<br>'
        "发件人： <b>银行</b> &lt;info@bank.example&gt;<br>Date: 2024年11月5日<br>Subject: 通知<br>"
        "To: &lt;me@mail.example&gt;<br></div><br><div>请点击</div></div>"
    )
    assert got is not None
    assert (got.sender, got.subject, got.body, got.comment) == ("银行 <info@bank.example>", "通知", "请点击", "看一下")


def test_a_reply_is_no_forward() -> None:
    assert unwrap_forward("Yes.\n\nOn 5 Nov 2024, at 10:12, Support wrote:\n> Is it?") is None
