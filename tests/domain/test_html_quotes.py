"""Folding what a mail quotes: which parts of the page are put away, and that nothing else is."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.email.quotes import separate_html
from helpdesk.domain.html import sanitise
from helpdesk.domain.html_quotes import MAX_CHARS, SUMMARY, folded
from helpdesk.domain.html_tags import ALLOWED

FOLD = re.compile(r"<details><summary[^>]*>[^<]*</summary>(.*?)</details>", re.DOTALL)


def fold(html: str, language: str = "en") -> str:
    """As a mail comes in: its parts told by whoever knows mail programs, its HTML sanitised."""
    parts = separate_html(html)
    return folded(
        sanitise(html).html, quoted=parts.quoted, own=parts.new_text, signature=parts.signature, language=language
    )


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def seen(html: str) -> str:
    return words(FOLD.sub("", html))


def unfolded(html: str) -> str:
    return FOLD.sub(r"\1", html)


GMAIL = (
    '<div dir="ltr">It works now.</div><br><div class="gmail_quote"><div class="gmail_attr">On Tue, 5 Nov 2024 at '
    '10:12, Support &lt;<a href="mailto:s@w.example">s@w.example</a>&gt; wrote:<br></div><blockquote '
    'class="gmail_quote" style="border-left:1px solid #ccc"><p>Try <a href="https://w.example/x">this</a>.</p>'
    "<ul><li>once</li></ul></blockquote></div>"
)
APPLE = (
    "It works now.<br><br><blockquote type=cite>On 5 Nov 2024, at 10:12, Support wrote:<br><br>Try this.</blockquote>"
)
OUTLOOK = (
    "<div class=WordSection1><p class=MsoNormal>It works now.</p><p class=MsoNormal>&nbsp;</p><div><div "
    'style="border:none;border-top:solid #E1E1E1 1.0pt"><p class=MsoNormal><b>From:</b> Support &lt;s@w.example&gt;<br>'
    "<b>Sent:</b> Tuesday, November 5, 2024 10:12<br><b>To:</b> Me &lt;m@x.example&gt;<br><b>Subject:</b> Re: stuck</p>"
    "</div></div><p class=MsoNormal>Try this.</p><p class=MsoNormal><img src=cid:logo></p>"
    "<p class=MsoNormal>Support</p></div>"
)
QQ = (
    "<div>好了，谢谢！</div><div><br></div><div>------------------&nbsp;原始邮件&nbsp;------------------</div><div>"
    '<div><b>发件人:</b> "客服" &lt;s@w.example&gt;;</div><div><b>发送时间:</b> 2024年11月5日(星期二) 10:12</div>'
    "<div><b>收件人:</b> 我;</div><div><b>主题:</b> Re: 卡住</div></div><div>请再试一次。</div>"
)


@pytest.mark.parametrize(
    ("html", "left"),
    [
        (GMAIL, "It works now."),
        (APPLE, "It works now."),
        (OUTLOOK, "It works now. &nbsp;"),
        (QQ, "好了，谢谢！"),
        (f"<table><tr><td>{APPLE}</td></tr></table>", "It works now."),
        (GMAIL + '<div><img src="cid:new" alt="my screenshot"></div>', "It works now."),
    ],
)
def test_what_mail_programs_quote_is_folded_once(html: str, left: str) -> None:
    got = fold(html)
    assert got.count("<details>") == 1
    assert seen(got) == left
    assert unfolded(got) == sanitise(html).html
    assert "my screenshot" in FOLD.sub("", got) or "my screenshot" not in html


@pytest.mark.parametrize(
    "html",
    [
        "<p>It works now.</p>",
        "<blockquote type=cite>Nothing but what was said before.</blockquote>",
        (
            "<blockquote type=cite>Which one?</blockquote><p>The red one.</p>"
            "<blockquote type=cite>Since when?</blockquote><p>Monday.</p>"
        ),
        "<ul><li>On 5 Nov 2024, at 10:12, Support wrote:</li></ul>",
        "",
    ],
)
def test_what_was_said_now_is_never_folded(html: str) -> None:
    assert fold(html) == sanitise(html).html


def test_signs_that_may_be_an_answer_stay_in_sight_between_quotations() -> None:
    html = "<p>See below.</p><blockquote>First.</blockquote><p>?!</p><blockquote>Second.</blockquote><p>--</p>"
    got = folded(sanitise(html).html, quoted="> First.\n> Second.", own="See below.")
    assert seen(got) == "See below. ?! --"
    assert got.count("<details>") == 2


def test_a_picture_between_two_quotations_is_an_answer() -> None:
    picture = '<div><a><img src="cid:shot" alt="mine"></a></div>'
    html = f"<p>See below.</p><blockquote>First.</blockquote>{picture}<blockquote>Second.</blockquote>"
    html = html.replace("First.", 'First.<blockquote>Older.</blockquote><img src="cid:old" alt="theirs">More.')
    got = fold(html)
    assert "mine" in FOLD.sub("", got)
    assert "theirs" not in FOLD.sub("", got)
    assert got.count("<details>") == 2


def test_what_the_sender_says_again_himself_is_his() -> None:
    """Words that are in the quotation as well: in what is new, and in a signature like that of the mail before."""
    sign = "This mail is for whom it is meant for."
    html = f"<p>Thanks</p><p>Try this.</p><div>{sign}</div><blockquote>Try this.<br>Thanks<br>{sign}</blockquote>"
    quoted = f"> Try this.\n> Thanks\n> {sign}"
    got = folded(sanitise(html).html, quoted=quoted, own="Thanks\nTry this.", signature=sign)
    assert seen(got) == f"Thanks Try this. {sign}"


def test_a_fold_is_named_in_the_readers_language() -> None:
    for language, word in SUMMARY.items():
        assert f">{word}</summary>" in fold(GMAIL, language)
        assert f'<summary lang="{language}"' in fold(GMAIL, language)
    assert fold(GMAIL, "fr") == fold(GMAIL, "en")


@pytest.mark.parametrize(
    ("html", "inside"),
    [
        ("<p>New.<br>one two three four five</p>", []),
        ("<ul><li>New.</li><li>one two three four five</li></ul>", ["li"]),
        ("<table><tr><td>New.</td></tr><tr><td>one two three four five</td></tr></table>", ["td"]),
        ("<dl><dt>New.</dt><dd>one two three four five</dd></dl>", ["dd"]),
    ],
)
def test_no_fold_stands_where_a_browser_would_move_it(html: str, inside: list[str]) -> None:
    got = folded(sanitise(html).html, quoted="one two three four five", own="New.")
    assert re.findall(r"<(\w+)><details>", got) == inside
    assert got.count("<details>") == len(inside)
    assert unfolded(got) == sanitise(html).html


PIECES = st.sampled_from(
    [f"<{name}>" for name in sorted(ALLOWED)]
    + [f"</{name}>" for name in sorted(ALLOWED)]
    + [
        "mine ",
        "theirs ",
        "<details>",
        "<summary>",
        "</details>",
        '<div class="gmail_quote">',
        "<blockquote type=cite>",
    ]
    + ['<a href="https://a.example/?<details>">', '<p title="</details><details>">', "&lt;details&gt;", "<!--"]
)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_whatever_is_folded_is_the_same_page_without_the_folds(html: str) -> None:
    clean = sanitise(html).html
    got = folded(clean, quoted="theirs " * 40, own="mine " * 40)
    begin = re.compile(r'<details><summary lang="en" style="[^"]*">Quoted text</summary>')
    folds = len(begin.findall(got))
    assert begin.sub("", got).replace("</details>", "") == clean.replace("</details>", "")
    assert got.count("</details>") == clean.count("</details>") + folds
    assert "mine" not in "".join(FOLD.findall(got))


def test_a_page_without_end_costs_little() -> None:
    html = sanitise("<div>mine</div>" + "<div>theirs and yours</div>" * 9000 + "<i>x" * 3000).html
    for quoted in ("theirs and yours " * 9000, "theirs and yourz " * 9000, "t" * 200_000):
        started = time.process_time()
        folded(html, quoted=quoted, own="mine " + "z" * 200_000)
        assert time.process_time() - started < 3  # in linear time a tenth of that, in square time minutes
    long = "<p>mine</p>" + "x" * MAX_CHARS
    assert folded(long, quoted="x" * 1000, own="mine") == long
