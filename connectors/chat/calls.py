"""What is asked by plain HTTP: each is one call of the host, and its answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from connectors.chat import forms, frames, identity
from connectors.chat.config import LANGUAGES, ChatConfig
from connectors.chat.door import Door, bearer, config_of, origin_of
from connectors.chat.files import SentFile
from connectors.chat.frames import MOST_BYTES
from helpdesk import clock
from helpdesk.errors import HelpdeskError, Invalid, TooLarge
from helpdesk.live import Feedback, Identity, LiveInbox, Opened, Said, Visitor

_NOTHING: Final = 204
_KEPT_AT_ONCE: Final = 4
"""Uploads that are in memory as a whole. While they come they are on disk, as far as they are large."""


class UnsupportedMedia(HelpdeskError):
    slug, status, title = "unsupported_media_type", 415, "Send application/json"


class Calls:
    """The handlers of the routes, over one door."""

    def __init__(self, door: Door) -> None:
        self._door, self._host = door, door.host
        self._keeping = asyncio.Semaphore(_KEPT_AT_ONCE)

    # -- coming and going --

    async def config(self, request: Request) -> Response:
        self._door.take_at(address_of(request), "config")
        inbox = await self._host.inbox(request.path_params["inbox_id"])
        config = config_of(inbox)
        await self._door.check_origin(origin_of(request.scope["headers"]), inbox.inbox_id)
        return answer(shown(inbox, config, max_upload_bytes=self._host.max_upload_bytes))

    async def begin(self, request: Request) -> Response:
        self._door.take_at(address_of(request), "sessions")
        inbox = await self._host.inbox(request.path_params["inbox_id"])
        config = config_of(inbox)
        await self._door.check_origin(origin_of(request.scope["headers"]), inbox.inbox_id)
        given = forms.read(await body_of(request), forms.Begin)
        fields = forms.check_prechat(given, inbox, config)
        known: Identity | None = None
        if given.identity is not None:
            known = identity.read(given.identity, config, inbox.inbox_id, now=clock.now())
        opened = await self._host.open(
            inbox.inbox_id,
            identity=known,
            name=fields.pop("name", ""),
            email=fields.pop("email", ""),
            language=given.language or (known.language if known else "") or config.default_language,
            fields=fields,
        )
        return answer(begun(opened), 201)

    async def identify(self, request: Request) -> Response:
        visitor = await self.visitor(request, "act")
        given = forms.read(await body_of(request), forms.Identify)
        inbox = await self._host.inbox(visitor.inbox_id)
        known = identity.read(given.identity, config_of(inbox), visitor.inbox_id, now=clock.now())
        return answer(begun(await self._host.identify(visitor, known)), 201)

    async def log_out(self, request: Request) -> Response:
        await self._host.log_out(await self.visitor(request, "act"))
        return Response(status_code=_NOTHING)

    async def claim_email(self, request: Request) -> Response:
        visitor = await self.visitor(request, "act")
        self._door.take_at(address_of(request), "codes")
        email = forms.read(await body_of(request), forms.ClaimEmail).email.strip()
        if not forms.is_address(email):
            raise Invalid.field("email", "is not an address")
        await self._host.claim_email(visitor, email)
        return Response(status_code=202)

    async def prove_email(self, request: Request) -> Response:
        visitor = await self.visitor(request, "act")
        self._door.take_at(address_of(request), "codes")
        given = forms.read(await body_of(request), forms.VerifyEmail)
        return answer(begun(await self._host.prove_email(visitor, given.code)), 201)

    # -- talking --

    async def say(self, request: Request) -> Response:
        visitor = await self.visitor(request, "message.send")
        given = forms.read(await body_of(request), forms.Say)
        return await self._said(visitor, given, None)

    async def feedback(self, request: Request) -> Response:
        visitor = await self.visitor(request, "message.send")
        given = forms.read(await body_of(request), forms.SayFeedback)
        inbox = await self._host.inbox(visitor.inbox_id)
        if given.category not in inbox.categories:
            raise Invalid.field("category", "is not one of the options")
        return await self._said(visitor, given, Feedback(given.category, given.app_version, given.device))

    async def _said(self, visitor: Visitor, given: forms.Say, about: Feedback | None) -> Response:
        frames.judge_text(given.text, given.attachment_ids)
        try:
            said: Said = await self._host.say(
                visitor,
                client_id=given.client_id,
                text=given.text,
                attachment_ids=given.attachment_ids,
                feedback=about,
            )
        except HelpdeskError as error:
            raise frames.of_saying(error) from None
        return answer(frames.stored(given.client_id, said), 200 if said.repeated else 201)

    async def read(self, request: Request) -> Response:
        visitor = await self.visitor(request, "read")
        await self._host.read(visitor, forms.read(await body_of(request), forms.ReadUpTo).seq)
        return Response(status_code=_NOTHING)

    async def typing(self, request: Request) -> Response:
        visitor = await self.visitor(request, "typing")
        await self._host.typing(visitor, ttl=forms.read(await body_of(request), forms.TypingFor).ttl)
        return Response(status_code=_NOTHING)

    async def rate(self, request: Request) -> Response:
        visitor = await self.visitor(request, "act")
        given = forms.read(await body_of(request), forms.Rate)
        await self._host.rate(visitor, score=given.score, comment=given.comment)
        return Response(status_code=_NOTHING)

    async def send_transcript(self, request: Request) -> Response:
        await self._host.send_transcript(await self.visitor(request, "act"))
        return Response(status_code=202)

    async def leave(self, request: Request) -> Response:
        await self._host.leave(await self.visitor(request, "act"))
        return Response(status_code=_NOTHING)

    # -- files --

    async def upload(self, request: Request) -> Response:
        visitor = await self.visitor(request, "upload")
        self._door.take_at(address_of(request), "uploads")
        limit = self._host.max_upload_bytes
        try:
            async with request.form(max_files=1, max_fields=2, max_part_size=1024) as form:
                file = form.get("file")
                if not isinstance(file, UploadFile):
                    raise Invalid.field("file", "send one part named file")
                if file.size is not None and file.size > limit:
                    raise TooLarge
                given = {"filename": file.filename or "", "content_type": file.content_type or ""}
                async with self._keeping:
                    kept = await self._host.upload(visitor, **given, body=await file.read())
        except HTTPException:
            raise Invalid.field("file", "send multipart/form-data with one part named file") from None
        shown = {"id": kept.id, "filename": kept.filename, "content_type": kept.content_type, "size": kept.size}
        return answer(shown, 201)

    async def download(self, request: Request) -> Response:
        """Always a download, under a type that we chose: the widget shows images by fetching them."""
        visitor = await self.visitor(request, "download")
        done = self._door.take_file(visitor)
        try:
            kept, body = await self._host.file(visitor, request.path_params["attachment_id"])
        except BaseException:
            done()
            raise
        headers = {
            "Content-Type": kept.content_type,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(kept.filename, safe='')}",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-store",
        }
        return SentFile(body, headers, done=done)

    async def visitor(self, request: Request, kind: str) -> Visitor:
        """Who asks, from where he may, and not too often. Raises `SessionRefused`, `OriginRefused`, `RateLimited`."""
        visitor = await self._door.visitor(bearer(request.headers.get("authorization", "")))
        await self._door.check_origin(origin_of(request.scope["headers"]), visitor.inbox_id)
        self._door.take(visitor, kind)
        return visitor


def address_of(request: Request) -> str:
    """A proxy's word for it counts where uvicorn was told to trust that proxy."""
    return request.client.host if request.client else ""


async def body_of(request: Request) -> bytes:
    """JSON, and not more of it than of a frame. Raises `TooLarge`, `UnsupportedMedia`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > MOST_BYTES:
            raise TooLarge
    return bytes(found)


def answer(data: Any, status: int = 200) -> Response:
    body = orjson.dumps(data, default=str, option=orjson.OPT_UTC_Z)
    return Response(body, status, {"Cache-Control": "no-store"}, media_type="application/json")


def begun(opened: Opened) -> dict[str, Any]:
    return {
        "token": opened.token,
        "expires_at": opened.expires_at,
        "visitor": frames.visitor(opened.visitor),
        "conversation_id": opened.visitor.conversation_id,
        "head_seq": opened.head_seq,
    }


def shown(inbox: LiveInbox, config: ChatConfig, *, max_upload_bytes: int) -> dict[str, Any]:
    """What a client has to know before anybody says a word."""
    categories = [{"value": key, "name": dict(names)} for key, names in inbox.categories.items()]
    prechat: list[dict[str, Any]] = []
    for name, required in config.fields.items():
        field: dict[str, Any] = {"name": name, "required": required}
        if name == "category":
            field["options"] = categories
        prechat.append(field)
    return {
        "inbox_id": inbox.inbox_id,
        "title": dict(zip(LANGUAGES, (config.title, config.title_zh_cn, config.title_zh_tw), strict=True)),
        "greeting": dict(zip(LANGUAGES, (config.greeting, config.greeting_zh_cn, config.greeting_zh_tw), strict=True)),
        "color": config.color,
        "languages": LANGUAGES,
        "default_language": config.default_language,
        "prechat": prechat,
        "categories": categories,
        "hours": {
            "open": inbox.hours.open,
            "next_open_at": _utc(inbox.hours.next_open_at),
            "next_close_at": _utc(inbox.hours.next_close_at),
        },
        "attended": inbox.attended,
        "continued": inbox.continued,
        "identity": config.vouched,
        "limits": {
            "text": frames.MOST_TEXT,
            "upload": max_upload_bytes,
            "uploads": frames.MOST_FILES,
            "frame": MOST_BYTES,
        },
    }


def _utc(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC) if at else None
