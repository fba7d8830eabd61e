"""The pages behind the link of a rating: one form, and what is said after it. No script, nothing from elsewhere.

They are read by people who do not know each other's language and may be read by a machine that follows links, so they
say no more of a conversation than its number.
"""

from __future__ import annotations

from html import escape

from fastapi import Response

from helpdesk.api.public_pages import notice, page
from helpdesk.domain.rating_texts import PAGES, PageWords
from helpdesk.domain.ratings import LONGEST_COMMENT, SCORES
from helpdesk.services.ratings import Asked


def form(asked: Asked, language: str, *, score: int | None = None, comment: str | None = None) -> Response:
    """To be filled in; `score` is chosen already. With a `comment`, what was sent was wrong, and is shown again."""
    words = PAGES[language]
    chosen = score if score in SCORES else asked.score
    wrong = comment is not None
    parts = [
        f"<h1>{escape(words.title)}</h1>",
        f"<p>{escape(words.about.format(name=asked.name, number=asked.number))}</p>",
        f'<p class="note">{escape(words.given)}</p>' if asked.score is not None and not wrong else "",
        f'<p class="wrong" role="alert">{escape(words.wrong.format(longest=LONGEST_COMMENT))}</p>' if wrong else "",
        '<form method="post" action="?">',
        f"<fieldset><legend>{escape(words.question)}</legend>",
        *(_choice(words, one, checked=one == chosen) for one in reversed(SCORES)),
        "</fieldset>",
        f'<label class="ask" for="comment">{escape(words.comment)}</label>',
        f'<textarea id="comment" name="comment" rows="4" maxlength="{LONGEST_COMMENT}" aria-describedby="hint">\n',
        f"{escape(asked.comment if comment is None else comment)}</textarea>",
        f'<p class="note" id="hint">{escape(words.comment_hint)}</p>',
        f'<button type="submit">{escape(words.send)}</button></form>',
        f'<p class="note">{escape(words.safety)}</p>',
    ]
    return page(words.title, language, "".join(parts), status=422 if wrong else 200)


def _choice(words: PageWords, score: int, *, checked: bool) -> str:
    mark = " checked" if checked else ""
    radio = f'<input type="radio" name="score" value="{score}" required{mark}>'
    return f'<label class="score">{radio}<b>{score}</b><span>{escape(words.scores[score])}</span></label>'


def thanks(asked: Asked, language: str) -> Response:
    words = PAGES[language]
    assert asked.score is not None
    said = words.rated.format(score=asked.score, words=words.scores[asked.score])
    parts = (
        f'<h1>{escape(words.thanks)}</h1><p role="status">{escape(said)}</p>',
        f"<p>{escape(words.thanks_more.format(number=asked.number))}</p>",
        f'<a class="button" href="?">{escape(words.change)}</a>',
        f'<p class="note">{escape(words.safety)}</p>',
    )
    return page(words.thanks, language, "".join(parts))


def expired(asked: Asked, language: str) -> Response:
    words = PAGES[language]
    return notice(words.expired, words.expired_more.format(number=asked.number), language, status=410)


def unknown(language: str) -> Response:
    """The same for a link that never was and one that was never sent."""
    words = PAGES[language]
    return notice(words.unknown, words.unknown_more, language, status=404)


def busy(language: str, *, retry_after: int) -> Response:
    words = PAGES[language]
    response = notice(words.busy, "", language, status=429)
    response.headers["Retry-After"] = str(retry_after)
    return response
