"""The Graph API on loopback, as far as it is used here: conversations, comments, files, and its moods.

    with FakeGraph() as graph:
        event = graph.writes("3383290475046708", "Where is my money?")     # to be posted as a webhook, or found
        graph.fail("POST", "/messages", 429, body=error(32))
        graph.accept_then_cut("POST", "/messages")
        ...
    assert graph.said == ["It is on its way"]

What no client of ours may do is collected in `findings`, and leaving the context raises when there is any.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from itertools import count
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.peers.loopback import Loopback

PAGE = "117172741761305"
INSTAGRAM = "17841405822304914"
TOKEN = "EAAGpageToken0123456789"
SECRET = "a0b1c2d3e4f5a0b1c2d3e4f5"
VERIFY = "verify-me-please"

Fields = dict[str, "Fields"]


def error(code: int, subcode: int = 0, *, status: int = 400, transient: bool = False) -> tuple[int, bytes]:
    """An answer as the vendor refuses: `(status, body)`."""
    told = {"message": f"(#{code}) Somebody's secret words", "type": "OAuthException", "code": code}
    told |= {"is_transient": transient, "fbtrace_id": "AbCdEfGh"}
    if subcode:
        told["error_subcode"] = subcode
    return status, json.dumps({"error": told}).encode()


@dataclass
class Said:
    """One message of a conversation. `to` is set on ours."""

    id: str
    person: str
    text: str
    at: datetime
    own: bool
    metadata: str = ""
    files: list[str] = field(default_factory=list)


@dataclass
class Comment:
    """What stands under a post, or a post itself where `post` is empty. `under`: the comment that it answers."""

    id: str
    text: str
    author: str
    name: str
    at: datetime
    post: str = ""
    under: str = ""
    hidden: bool = False
    picture: str = ""


@dataclass
class _Fault:
    method: str
    end: str
    status: int
    body: bytes
    headers: Mapping[str, str]
    cut: bool
    times: int
    after: int = 0


class FakeGraph(Loopback):
    """One Page and its Instagram account. Times are the vendor's own: `ahead` of ours by as much."""

    def __init__(self, *, page: str = PAGE, instagram: str = INSTAGRAM, token: str = TOKEN, secret: str = SECRET):
        super().__init__()
        self.page, self.instagram, self.token, self.secret = page, instagram, token, secret
        self.ahead = timedelta()
        self.messages: list[Said] = []
        self.things: dict[str, Comment] = {}
        """Posts and comments by id."""
        self.names: dict[str, str] = {}
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self.files: dict[str, bytes] = {}
        """What `/cdn/NAME` gives."""
        self.closed: set[str] = set()
        """People whose 24 hours are over."""
        self.standby: set[str] = set()
        """People whose thread another app controls."""
        self.subscribed = ["messages", "feed"]
        self.calls: list[str] = []
        self.findings: list[str] = []
        self._answered_privately: set[str] = set()
        self._faults: list[_Fault] = []
        self._serial, self._lock = count(1001), threading.RLock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is None and self.findings:
            raise AssertionError(self.findings)

    # -- what tests ask of it ------------------------------------------------------------------------------------------

    @property
    def said(self) -> list[str]:
        """The texts that our account wrote to people, in order."""
        return [one.text for one in self.messages if one.own]

    @property
    def answers(self) -> list[str]:
        """… and those that it wrote in public."""
        return [one.text for one in self.things.values() if one.post and one.author in (self.page, self.instagram)]

    def now(self) -> datetime:
        return (datetime.now(UTC) + self.ahead).replace(microsecond=0)

    def writes(self, person: str, text: str, *, files: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
        """Somebody writes to us. Answers the item of `messaging`, with `more` in its message."""
        one = Said(f"m_{next(self._serial)}", person, text, self.now(), own=False, files=list(files))
        self.messages.append(one)
        message: dict[str, Any] = {"mid": one.id, "text": text, **more}
        if files:
            message["attachments"] = [{"type": "image", "payload": {"url": self.file_url(name)}} for name in files]
        return self._event(person, self._account(person), one, message)

    def echo(self, said: Said, **more: Any) -> dict[str, Any]:
        """What the vendor tells of a message that our account wrote."""
        message: dict[str, Any] = {"mid": said.id, "text": said.text, "is_echo": True, "app_id": 70707, **more}
        if said.metadata:
            message["metadata"] = said.metadata
        return self._event(self._account(said.person), said.person, said, message)

    def posts(self, text: str, *, author: str = "", instagram: bool = False) -> str:
        """A post of our account's, or of somebody else's on our Page. Answers its id."""
        serial = next(self._serial)
        found = f"1789{serial}" if instagram else f"{self.page}_{serial}"
        own = self.instagram if instagram else self.page
        self.things[found] = Comment(found, text, author or own, self.names.get(author, "Wallet"), self.now())
        return found

    def comments(self, post: str, author: str, text: str, *, under: str = "", picture: str = "") -> dict[str, Any]:
        """Somebody comments. Answers the item of `changes`."""
        one = self._add(post, author, text, under=under)
        one.picture = picture
        if "_" not in post:
            value: dict[str, Any] = {"id": one.id, "text": text, "from": {"id": author, "username": one.name}}
            value["media"] = {"id": post, "media_product_type": "FEED"}
            return {"field": "comments", "value": value | ({"parent_id": under} if under else {})}
        value = {"from": {"id": author, "name": one.name}, "item": "comment", "verb": "add", "message": text}
        value |= {"comment_id": one.id, "post_id": post, "parent_id": under or post, "published": 1}
        value |= {"created_time": int(one.at.timestamp()), "post": {"permalink_url": f"https://fb.test/{post}"}}
        value |= {"photo": self.file_url(picture)} if picture else {}
        return {"field": "feed", "value": value}

    def fail(
        self,
        method: str,
        end: str,
        status: int = 0,
        *,
        body: bytes | tuple[int, bytes] = b"",
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        after: int = 0,
    ) -> None:
        """The next `times` calls whose path ends like that, `after` so many, are answered so, and nothing is done.

        The body may be an `error()`.
        """
        if isinstance(body, tuple):
            status, body = status or body[0], body[1]
        self._faults.append(_Fault(method, end, status, body, headers or {}, cut=False, times=times, after=after))

    def accept_then_cut(self, method: str, end: str, *, answer: bytes = b"", times: int = 1) -> None:
        """It is done, and the connection ends after so much of an answer."""
        self._faults.append(_Fault(method, end, 200, answer, {}, cut=True, times=times))

    def revoke(self) -> None:
        self.token = ""

    def file_url(self, name: str) -> str:
        return f"{self.origin}/cdn/{name}"

    # -- HTTP ----------------------------------------------------------------------------------------------------------

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        self._serve(request, "GET")

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        self._serve(request, "POST")

    def _serve(self, request: BaseHTTPRequestHandler, method: str) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        raw = request.rfile.read(length)
        url = urlsplit(request.path)
        with self._lock:
            self.calls.append(f"{method} {url.path}")
            given = dict(parse_qsl(url.query, keep_blank_values=True)) | _given(request, raw, self.findings)
            found = next((one for one in self._faults if one.method == method and url.path.endswith(one.end)), None)
            if found is not None and found.after:
                found.after -= 1
            elif found is not None:
                found.times -= 1
                if not found.times:
                    self._faults.remove(found)
                if found.cut:
                    self._answer(request, method, url.path, url.query, given)
                    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + found.body)
                    request.close_connection = True
                    return
                self._send(request, found.status, found.body, found.headers)
                return
            if url.path.startswith("/cdn/"):
                status, body = self._file(request, url.path)
            else:
                status, body = self._answer(request, method, url.path, url.query, given)
        self._send(request, status, body, {})

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        request.send_response_only(status)
        request.send_header("Date", format_datetime(self.now(), usegmt=True))
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    def _file(self, request: BaseHTTPRequestHandler, path: str) -> tuple[int, bytes]:
        if request.headers.get("Authorization") or "proof" in request.path:
            self.findings.append("a token went to the servers of files")
        found = self.files.get(path.removeprefix("/cdn/"))
        return (404, b"gone") if found is None else (200, found)

    def _answer(
        self, request: BaseHTTPRequestHandler, method: str, path: str, query: str, given: dict[str, Any]
    ) -> tuple[int, bytes]:
        if "access_token" in query:
            self.findings.append("the token stood in a URL")
        if not self.token or request.headers.get("Authorization") != f"Bearer {self.token}":
            return error(190, 460, status=401)
        proof = hmac.new(self.secret.encode(), self.token.encode(), hashlib.sha256).hexdigest()
        if given.pop("appsecret_proof", "") != proof:
            self.findings.append(f"{method} {path}: no appsecret_proof")
            return error(100)
        found = re.fullmatch(r"/v\d+\.\d/([\w.$-]+)(?:/(\w+))?", path)
        if found is None:
            return error(2500)
        subject = self.page if found[1] == "me" else found[1]
        try:
            answer = self._call(method, subject, found[2] or "", given)
        except _Refused as refused:
            return refused.answer
        return 200, json.dumps(answer).encode()

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _call(self, method: str, subject: str, edge: str, given: dict[str, Any]) -> Any:
        if subject in (self.page, self.instagram):
            done = getattr(self, f"_{method.lower()}_{edge or 'account'}", None)
            if done is None:
                raise _Refused(error(100, 33))
            return done(subject, given)
        if subject in self.things:
            return self._thing(method, self.things[subject], edge, given)
        if method == "GET" and edge == "messages" and any(subject == f"t_{one.person}" for one in self.messages):
            found = self._conversation(subject.removeprefix("t_"))["messages"]
            return _page(found, given, _fields(given.get("fields", "id")))
        said = next((one for one in self.messages if one.id == subject), None)
        if said is None or method != "GET" or edge:
            raise _Refused(error(100, 33))
        return _pick(self._message(said), _fields(given.get("fields", "id")))

    def _get_account(self, subject: str, given: dict[str, Any]) -> Any:
        page = {"id": self.page, "name": "Wallet", "username": "wallet", "link": "https://fb.test/wallet"}
        page |= {"followers_count": 1200, "verification_status": "blue_verified"}
        page |= {"instagram_business_account": {"id": self.instagram}}
        page |= {"picture": {"data": {"url": self.file_url("page.png")}}}
        own = {"id": self.instagram, "username": "wallet", "name": "Wallet", "followers_count": 800}
        own |= {"profile_picture_url": self.file_url("page.png")}
        asked = re.match(r"(mentioned_comment|mentioned_media)\.(?:comment|media)_id\((\d+)\)", given.get("fields", ""))
        if asked is not None:
            if asked[2] not in self.things:
                raise _Refused(error(100, 33))
            shown = self._shown(self.things[asked[2]])
            own[asked[1]] = shown | {"media": {"permalink": shown["permalink"]}}
        return _pick(page if subject == self.page else own, _fields(given.get("fields", "id,name")))

    def _get_subscribed_apps(self, subject: str, given: dict[str, Any]) -> Any:
        return {"data": [{"id": "70707", "name": "Desk", "subscribed_fields": self.subscribed}]}

    def _post_subscribed_apps(self, subject: str, given: dict[str, Any]) -> Any:
        self.subscribed = sorted({*self.subscribed, *given["subscribed_fields"].split(",")})
        return {"success": True}

    def _get_conversations(self, subject: str, given: dict[str, Any]) -> Any:
        platform = given.get("platform", "messenger")
        people = list(dict.fromkeys(one.person for one in reversed(self.messages)))
        people = [one for one in people if _is_instagram(one) == (platform == "instagram")]
        wanted = given.get("user_id")
        found = [self._conversation(one) for one in people if wanted in (None, one)]
        return _page(found, given, _fields(given.get("fields", "id,updated_time")))

    def _conversation(self, person: str) -> dict[str, Any]:
        messages = [self._message(one) for one in reversed(self.messages) if one.person == person]
        updated = messages[0]["created_time"]
        people = [{"id": person, "name": self.names.get(person, "Mina")}, {"id": self.page, "name": "Wallet"}]
        return {"id": f"t_{person}", "updated_time": updated, "messages": messages, "participants": {"data": people}}

    def _message(self, one: Said) -> dict[str, Any]:
        author = self._account(one.person) if one.own else one.person
        whom = one.person if one.own else self._account(one.person)
        files = [{"id": f"f{n}", "image_data": {"url": self.file_url(name)}} for n, name in enumerate(one.files)]
        found: dict[str, Any] = {"id": one.id, "message": one.text, "created_time": _stamp(one.at)}
        found |= {"from": {"id": author, "name": self.names.get(author, "Mina")}, "to": {"data": [{"id": whom}]}}
        return found | ({"attachments": {"data": files}} if files else {})

    def _post_messages(self, subject: str, given: dict[str, Any]) -> Any:
        comment = given["recipient"].get("comment_id")
        person = given["recipient"].get("id") or self._private(comment)
        if not isinstance(person, str):
            self.findings.append("ids are strings")
        if person in self.standby:
            raise _Refused(error(10, 2018300))
        if comment is None and person in self.closed:
            raise _Refused(error(10, 2018278, status=403))
        if comment is None and all(one.person != person for one in self.messages):
            raise _Refused(error(100, 2018001))
        message = given["message"]
        text = message.get("text", "")
        if len(text.encode()) > 1000 if _is_instagram(person) else len(text) > 2000:
            raise _Refused(error(100))
        attached = message.get("attachment", {}).get("payload", {}).get("attachment_id")
        if (attached is None) == (not text) or (attached is not None and attached not in self.uploads):
            raise _Refused(error(100, 2018074))
        one = Said(f"m_{next(self._serial)}", person, text, self.now(), own=True, metadata=message.get("metadata", ""))
        one.files = [] if attached is None else [self.uploads[attached][0]]
        self.messages.append(one)
        if comment is not None:
            self._answered_privately.add(comment)
        return {"recipient_id": person, "message_id": one.id}

    def _private(self, comment: str) -> str:
        """Whom a private reply reaches: people have another id in messages than in public."""
        if comment not in self.things:
            raise _Refused(error(100, 33))
        if comment in self._answered_privately:
            raise _Refused(error(10900))
        return f"9{self.things[comment].author}"

    def _post_message_attachments(self, subject: str, given: dict[str, Any]) -> Any:
        name, body = given["filedata"]
        found = f"{next(self._serial)}00"
        self.uploads[found] = (name, body)
        return {"attachment_id": found}

    def _post_photos(self, subject: str, given: dict[str, Any]) -> Any:
        if given.get("published") != "false":
            self.findings.append("a picture was posted on its own")
        name, body = given["source"]
        found = f"{next(self._serial)}11"
        self.uploads[found] = (name, body)
        return {"id": found}

    def _post_mentions(self, subject: str, given: dict[str, Any]) -> Any:
        post, under = given["media_id"], given.get("comment_id", "")
        return {"id": self._add(post, subject, given["message"], under=under).id}

    def _post_take_thread_control(self, subject: str, given: dict[str, Any]) -> Any:
        self.standby.discard(given["recipient"]["id"])
        return {"success": True}

    def _get_feed(self, subject: str, given: dict[str, Any]) -> Any:
        posts = [self._shown(one) for one in reversed(self.things.values()) if not one.post and "_" in one.id]
        if "filter(stream)" in given.get("fields", ""):
            posts = [one | {"comments": self._stream(one["id"])[:50]} for one in posts]
        return _page(posts, given, _fields(given.get("fields", "id,message,created_time")))

    def _get_media(self, subject: str, given: dict[str, Any]) -> Any:
        posts = [self._shown(one) for one in reversed(self.things.values()) if not one.post and "_" not in one.id]
        return _page(posts, given, _fields(given.get("fields", "id,caption,timestamp")))

    def _thing(self, method: str, one: Comment, edge: str, given: dict[str, Any]) -> Any:
        edges = ("comments",) if "_" in one.id else ("replies", "comments") if not one.post else ("replies",)
        if method == "GET" and not edge:
            return _pick(self._shown(one), _fields(given.get("fields", "id")))
        if method == "GET" and edge in edges:
            found = self._stream(one.id) if given.get("filter") == "stream" else self._shown(one)[edge]
            return _page(found, given, _fields(given.get("fields", "id")))
        if method == "POST" and edge in edges:
            own = self.page if "_" in one.id else self.instagram
            # A third storey does not exist: what answers an answer stands beside it.
            under = (one.under or one.id) if one.post else ""
            made = self._add(one.post or one.id, own, given["message"], under=under)
            made.picture = self.uploads[given["attachment_id"]][0] if "attachment_id" in given else ""
            return {"id": made.id}
        hide = given.get("is_hidden" if "_" in one.id else "hide")
        if method == "POST" and not edge and hide is not None:
            one.hidden = str(hide).lower() == "true"
            return {"success": True}
        raise _Refused(error(100, 33))

    def _stream(self, post: str) -> list[dict[str, Any]]:
        """Everything below a post, however deep, the newest first."""
        return [self._shown(one) for one in reversed(self.things.values()) if one.post == post]

    def _shown(self, one: Comment) -> dict[str, Any]:
        """A post or a comment with what hangs below it."""
        on_page = "_" in one.id
        below = [self._shown(x) for x in self.things.values() if x.post and one.id == (x.under or x.post)]
        text, at = ("message", "created_time") if on_page else ("text" if one.post else "caption", "timestamp")
        who = {"id": one.author, "name" if on_page else "username": one.name}
        shown: dict[str, Any] = {"id": one.id, text: one.text, at: _stamp(one.at), "from": who}
        shown |= {"is_hidden" if on_page else "hidden": one.hidden, "updated_time": _stamp(one.at)}
        shown |= {"permalink_url" if on_page else "permalink": f"https://fb.test/{one.id}"}
        shown["comments" if on_page or not one.post else "replies"] = below
        if one.under:
            shown |= {"parent": {"id": one.under}} if on_page else {"parent_id": one.under}
        if one.picture:
            shown["attachment"] = {"type": "photo", "media": {"image": {"src": self.file_url(one.picture)}}}
        if one.id in self._answered_privately:
            shown["private_reply_conversation"] = {"id": f"t_9{one.author}"}
        if not on_page:
            shown["username"] = one.name
        return shown

    # -- what both sides do --------------------------------------------------------------------------------------------

    def _add(self, post: str, author: str, text: str, *, under: str) -> Comment:
        serial = next(self._serial)
        found = f"{post.partition('_')[2]}_{serial}" if "_" in post else f"1790{serial}"
        name = "Wallet" if author in (self.page, self.instagram) else self.names.get(author, "Mina")
        one = self.things[found] = Comment(found, text, author, name, self.now(), post, under)
        return one

    def _account(self, person: str) -> str:
        return self.instagram if _is_instagram(person) else self.page

    @staticmethod
    def _event(sender: str, recipient: str, one: Said, message: dict[str, Any]) -> dict[str, Any]:
        people = {"sender": {"id": sender}, "recipient": {"id": recipient}}
        return {**people, "timestamp": int(one.at.timestamp() * 1000), "message": message}


class _Refused(Exception):
    def __init__(self, answer: tuple[int, bytes]) -> None:
        super().__init__(answer[0])
        self.answer = answer


def _is_instagram(person: str) -> bool:
    """People of Instagram have ids like `1784…` in these tests, and so have they in private."""
    return person.startswith(("1784", "91784"))


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S+0000")


def _given(request: BaseHTTPRequestHandler, raw: bytes, findings: list[str]) -> dict[str, Any]:
    """The fields of a body of any of the three kinds; a file as `(name, bytes)`."""
    kind = request.headers.get("Content-Type", "")
    if not raw:
        return {}
    if kind.startswith("application/json"):
        found: dict[str, Any] = json.loads(raw)
        return found
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(raw.decode(), keep_blank_values=True))
    if not kind.startswith("multipart/form-data"):
        findings.append(f"a body of type {kind}")
        return {}
    return _parts(raw, kind.partition("boundary=")[2])


def _parts(raw: bytes, boundary: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in raw.split(b"--" + boundary.encode())[1:-1]:
        head, _, body = part.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"]*)"', head)
        filename = re.search(rb'filename="([^"]*)"', head)
        assert name is not None
        found[name[1].decode()] = (filename[1].decode(), body) if filename else body.decode()
    return found


def _fields(given: str) -> Fields:
    """`a,b.limit(2){c}` as a tree."""
    root: Fields = {}
    stack = [root]
    last = root
    for word in re.findall(r"[{}]|[\w.()]+", given):
        if word == "{":
            stack.append(last)
        elif word == "}":
            stack.pop()
        else:
            last = stack[-1].setdefault(word.partition(".")[0], {})
    return root


def _pick(found: Mapping[str, Any], wanted: Fields) -> dict[str, Any]:
    """Only what was asked for, and the id, which always comes."""
    picked: dict[str, Any] = {"id": found["id"]}
    for name, below in wanted.items():
        if name in found:
            value = found[name]
            picked[name] = {"data": [_pick(one, below) for one in value]} if isinstance(value, list) else value
    return picked


def _page(found: list[dict[str, Any]], given: Mapping[str, Any], wanted: Fields) -> dict[str, Any]:
    start, size = int(given.get("after") or 0), int(given.get("limit") or 25)
    shown = found[start : start + size]
    paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(start + size)}}
    if start + size < len(found):
        paging["next"] = "https://graph.test/never-followed-since-it-holds-the-token"
    return {"data": [_pick(one, wanted) for one in shown], "paging": paging}
