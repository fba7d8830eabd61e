"""Sending one message: in one call wherever that is possible, since no call can be taken back or looked up."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aiogram.enums import InputMediaType
from aiogram.methods import SendDocument, SendMediaGroup, SendMessage, SendPhoto, TelegramMethod
from aiogram.types import InputMediaDocument, InputMediaPhoto, MediaUnion, ReplyParameters

from connectors.telegram.errors import Migrated
from connectors.telegram.session import Api
from connectors.telegram.text import CAPTION_UNITS, units
from helpdesk.channels import ChannelError, Composed, PermanentFailure, Receipt, TargetGone, Uncertain
from helpdesk.clock import now

AtFinal = Callable[[], Awaitable[None]]

_PHOTOS: Final = ("image/jpeg", "image/png")
_PHOTO_BYTES: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a message goes, and what it answers there."""

    chat: str
    topic: str
    reply_to: str

    def fields(self) -> dict[str, Any]:
        found: dict[str, Any] = {"chat_id": int(self.chat)}
        if self.topic:
            found["message_thread_id"] = int(self.topic)
        if self.reply_to:
            answered = ReplyParameters(message_id=int(self.reply_to), allow_sending_without_reply=True)
            found["reply_parameters"] = answered
        return found


@dataclass(frozen=True, slots=True)
class _File:
    filename: str
    content_type: str
    body: bytes

    @property
    def photo(self) -> bool:
        return self.content_type in _PHOTOS and len(self.body) <= _PHOTO_BYTES


async def send(api: Api, message: Composed, *, at_final: AtFinal) -> Receipt:
    """Raises a ChannelError: `Uncertain` also where a long text was sent and its files were not."""
    text, place, files = await asyncio.to_thread(_read, message.body)
    sending = _Sending(api, place, message.recipients[0], at_final)
    if not files:
        external_id = await sending.text(text)
    elif units(text) <= CAPTION_UNITS:
        external_id = await sending.files(text, files)
    else:
        external_id = await sending.text(text)
        try:
            await sending.files("", files)
        except ChannelError:
            raise Uncertain("The text was sent, its files were not") from None
    return Receipt(external_id, now(), accepted=message.recipients, thread=sending.moved_to)


def _read(body: bytes) -> tuple[str, _Place, list[_File]]:
    """The frozen message. Its files may be large."""
    given = json.loads(body)
    files = [_File(one["filename"], one["content_type"], b64decode(one["body"])) for one in given["media"]]
    return given["text"], _Place(given["target"], given["topic"], given["reply_to"]), files


class _Sending:
    """The calls of one message. Where the group has moved, they follow it once."""

    def __init__(self, api: Api, place: _Place, recipient: str, at_final: AtFinal) -> None:
        self._api, self._place, self._recipient, self._at_final = api, place, recipient, at_final
        self.moved_to = ""
        """The thread of the new group, where it has moved."""

    async def text(self, text: str) -> str:
        return await self._call(lambda fields: SendMessage(text=text, **fields))

    async def files(self, caption: str, files: list[_File]) -> str:
        """Pictures as pictures. One that is refused as such (its sides, say) goes as a file."""
        if all(file.photo for file in files):
            try:
                return await self._files(caption, files, photos=True)
            except PermanentFailure as error:
                if type(error) is not PermanentFailure:
                    raise
        return await self._files(caption, files, photos=False)

    async def _files(self, caption: str, files: list[_File], *, photos: bool) -> str:
        parts = {f"file{index}": (one.filename, one.body, one.content_type) for index, one in enumerate(files)}
        said: dict[str, Any] = {"caption": caption} if caption else {}
        if len(files) > 1:
            media: list[MediaUnion] = [
                _media(name, said if not index else {}, photos=photos) for index, name in enumerate(parts)
            ]
            return await self._call(lambda fields: SendMediaGroup(media=media, **fields), parts)
        if photos:
            return await self._call(lambda fields: SendPhoto(photo="attach://file0", **said, **fields), parts)
        return await self._call(lambda fields: SendDocument(document="attach://file0", **said, **fields), parts)

    async def _call(
        self,
        method: Callable[[dict[str, Any]], TelegramMethod[Any]],
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> str:
        try:
            result = await self._once(method, files)
        except Migrated as error:
            # The old group's topics and messages have other numbers now, or none.
            self._place = replace(self._place, chat=error.chat, topic="", reply_to="")
            self.moved_to = f"chat:{error.chat}"
            try:
                result = await self._once(method, files)
            except Migrated:
                raise TargetGone("The group has moved twice") from None
        return self._id(result)

    async def _once(
        self,
        method: Callable[[dict[str, Any]], TelegramMethod[Any]],
        files: Mapping[str, tuple[str, bytes, str]] | None,
    ) -> Any:
        call = method(self._place.fields())
        return await self._api.call(call, files=files, at_final=self._at_final, recipient=self._recipient)

    def _id(self, result: Any) -> str:
        """What was sent, by the chat in which it stands. An album goes by the first of its messages."""
        first = result[0] if isinstance(result, list) and result else result
        if not isinstance(first, dict) or not isinstance(first.get("message_id"), int):
            raise Uncertain("The message was taken, and its number was not told")
        return f"{self._place.chat}:{first['message_id']}"


def _media(name: str, said: dict[str, Any], *, photos: bool) -> InputMediaPhoto | InputMediaDocument:
    if photos:
        return InputMediaPhoto(type=InputMediaType.PHOTO, media=f"attach://{name}", **said)
    return InputMediaDocument(type=InputMediaType.DOCUMENT, media=f"attach://{name}", **said)
