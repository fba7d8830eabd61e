"""The kinds of races (`tests.racing`): who may do what at the same moment, and how that may end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from helpdesk import clock
from helpdesk.models.contacts import contacts
from helpdesk.models.conversations import conversation_tags, conversations, drafts, tags
from helpdesk.models.jobs import job_results
from helpdesk.models.messages import deliveries, messages
from helpdesk.models.sla import sla_clocks
from helpdesk.services import visitor_log, visitor_messages, visitor_sessions
from helpdesk.services.visitor_filing import SaidMeanwhile
from tests import race_scenes as scenes
from tests.racing import Race, Runner, Scene, Side, Track
from workers.jobs import Jobs

_CLOSED: Final = "409 conversation_closed"
_MERGED: Final = "409 conversation_merged"
_MOVED: Final = "409 conversation_moved"
_STALE: Final = "412 stale_version"
_TOO_LATE: Final = "409 delivery_state"


# -- what is done -----------------------------------------------------------------------------------------------------


def _patch(**body: Any) -> Runner:
    async def run(track: Track, side: Side, scene: Scene) -> str:
        given = {name: value(side, scene) if callable(value) else value for name, value in body.items()}
        return await side.ask("PATCH", f"conversations/{scene['id']}", given)

    return run


def _reply(**body: Any) -> Runner:
    async def run(track: Track, side: Side, scene: Scene) -> str:
        return await side.ask("POST", f"conversations/{scene['id']}/messages", {"text": "We look into it.", **body})

    return run


def _merge(source: str, into: str) -> Runner:
    async def run(track: Track, side: Side, scene: Scene) -> str:
        return await side.ask("POST", f"conversations/{scene[source]}/merge", {"into": str(scene[into])})

    return run


def _setting(method: str, path: str, **body: Any) -> Runner:
    async def run(track: Track, side: Side, scene: Scene) -> str:
        given = {name: value(side, scene) if callable(value) else value for name, value in body.items()}
        return await side.ask(method, path.format(**scene), given or None)

    return run


async def _split(track: Track, side: Side, scene: Scene) -> str:
    body = {"message_ids": [str(scene["message_id"])]}
    return await side.ask("POST", f"conversations/{scene['id']}/split", body)


async def _spam(track: Track, side: Side, scene: Scene) -> str:
    return await side.ask("POST", f"conversations/{scene['id']}/spam")


async def _run_macro(track: Track, side: Side, scene: Scene) -> str:
    return await side.ask("POST", f"macros/{scene['macro']}/run", {"conversation_id": str(scene["id"])})


async def _cancel(track: Track, side: Side, scene: Scene) -> str:
    return await side.ask("POST", f"messages/{scene['message_id']}/cancel")


async def _retry(track: Track, side: Side, scene: Scene) -> str:
    return await side.ask("POST", f"messages/{scene['message_id']}/retry")


async def _send(track: Track, side: Side, scene: Scene) -> str:
    """The worker, for as long as there is something to send."""
    while True:
        await side.house.deliver()
        (row,) = await track.rows(deliveries, deliveries.c.message_id == scene["message_id"])
        if row["status"] in ("sent", "cancelled"):
            return str(row["status"])
        await asyncio.sleep(0.002)


async def _do_job(track: Track, side: Side, scene: Scene) -> str:
    worker = Jobs(side.house.services, worker=side.who.name)
    while await worker.step():
        pass
    found = await track.rows(job_results, job_results.c.job_id == scene["job"], job_results.c.changed)
    return f"{len(found)} changed"


async def _receive(track: Track, side: Side, scene: Scene) -> str:
    """The worker takes his mail in; where it is filed."""
    while not (found := await track.rows(messages, messages.c.text.like(f"{scene['text']}%"))):
        await side.house.process()
    (message,) = found
    return {scene["id"]: "here", scene["other"]: "over there"}.get(message["conversation_id"], "anew")


async def _say(track: Track, side: Side, scene: Scene) -> str:
    """His client says it; where it is then."""
    services, at = side.house.services, clock.now()
    visitor = await visitor_sessions.find(services.database, scene["token"], now=at)
    what: dict[str, Any] = {"client_id": scene["client_id"], "text": "Are you there?", "now": at}
    try:
        async with services.database.transaction() as session:
            said = await visitor_messages.say(services, session, visitor, **what)
    except SaidMeanwhile:
        async with services.database.transaction() as session:
            said = await visitor_messages.say(services, session, visitor, **what)
    where = {scene["id"]: "here", scene["other"]: "over there"}.get(said.conversation_id, "anew")
    return f"{where} again" if said.repeated else where


def _draft(**version: str) -> Runner:
    """Of the same agent, in another window."""

    async def run(track: Track, side: Side, scene: Scene) -> str:
        hers = Side(side.client, track.left.who, side.house)
        return await hers.ask("PUT", f"conversations/{scene['id']}/draft", {"text": side.who.name}, **version)

    return run


async def _same_key(track: Track, side: Side, scene: Scene) -> str:
    hers = Side(side.client, track.left.who, side.house)
    path = f"conversations/{scene['id']}/messages"
    return await hers.ask("POST", path, {"text": "Once."}, **{"Idempotency-Key": scene["key"]})


def _merge_contact(number: int) -> Runner:
    async def run(track: Track, side: Side, scene: Scene) -> str:
        people = scene["people"]
        return await side.ask("POST", f"contacts/{people[number]}/merge", {"into": str(people[1 - number])})

    return run


# -- what has to be true besides --------------------------------------------------------------------------------------


async def _one_answer(track: Track, scene: Scene, _end: tuple[str, str]) -> None:
    assert (
        len(await track.rows(messages, messages.c.conversation_id == scene["id"], messages.c.type == "outgoing")) == 1
    )


async def _said_once(track: Track, scene: Scene, _end: tuple[str, str]) -> None:
    """In a log without a break, wherever it is."""
    visitor = await visitor_sessions.find(track.services.database, scene["token"], now=clock.now())
    (said,) = await track.rows(
        messages, messages.c.text == "Are you there?", messages.c.author_id == visitor.contact_id
    )
    log = await visitor_log.after(track.services.database, visitor, said["conversation_id"], 0, limit=100)
    assert str(said["id"]) in {item.data.get("id") for item in log.items}
    assert [item.prev_seq for item in log.items] == [0, *(item.seq for item in log.items[:-1])]


async def _tagged(track: Track, scene: Scene, _end: tuple[str, str]) -> None:
    for one in ("id", "other"):
        found = await track.rows(conversation_tags, conversation_tags.c.conversation_id == scene[one])
        assert scene["tag"] in {row["tag"] for row in found}


async def _one_note(track: Track, scene: Scene, _end: tuple[str, str]) -> None:
    """Whoever was too late has written nothing either."""
    rows = await track.rows(messages, messages.c.conversation_id == scene["id"], messages.c.private)
    assert [row["author_id"] for row in rows] == [
        row["assignee_id"] for row in await track.rows(conversations, conversations.c.id == scene["id"])
    ]


async def _nobody_waits(track: Track, scene: Scene, _end: tuple[str, str]) -> None:
    """He has his answer, wherever the matter is by now, and no clock runs for him any more."""
    places = [scene["id"], scene["other"]]
    rows = await track.rows(conversations, conversations.c.id.in_(places))
    clocks = await track.rows(sla_clocks, sla_clocks.c.conversation_id.in_(places))
    told = [(row["conversation_id"] == scene["id"], row["state"]) for row in clocks]
    assert clocks, "nothing was promised"
    assert {row["state"] for row in clocks} <= {"met", "cancelled"}, f"a clock goes on: {told}"
    assert {row["waiting_since"] for row in rows} == {None}, f"he waits on: {told}"


async def _known(track: Track, scene: Scene, _end: tuple[str, str]) -> None:
    used = await track.rows(conversation_tags, conversation_tags.c.conversation_id == scene["id"])
    names = {row["tag"] for row in used}
    assert {row["name"] for row in await track.rows(tags, tags.c.name.in_(names))} == names, "it has a tag that is none"


async def _one_draft(track: Track, scene: Scene, _end: tuple[str, str]) -> None:
    assert len(await track.rows(drafts, drafts.c.conversation_id == scene["id"])) == 1


async def _one_merged(track: Track, scene: Scene, _end: tuple[str, str]) -> None:
    rows = await track.rows(contacts, contacts.c.id.in_(scene["people"]))
    assert [row["merged_into_id"] is None for row in rows].count(True) == 1


# -- all of them ------------------------------------------------------------------------------------------------------


def _me(side: Side, _scene: Scene) -> str:
    return str(side.who.id)


def _team(_side: Side, scene: Scene) -> str:
    return str(scene["team"])


def _tag(_side: Side, scene: Scene) -> list[str]:
    return [scene["tag"]]


def _name(_side: Side, scene: Scene) -> str:
    return str(scene["key"])


def _renamed(_side: Side, scene: Scene) -> str:
    return f"{scene['tag']} renamed"


_ONE_WINS: Final = {("200", _STALE): 2, (_STALE, "200"): 2}

KINDS: Final[Mapping[str, Race]] = {
    "assign/assign": Race(
        scene=scenes.plain,
        left=_patch(assignee_id=_me),
        right=_patch(assignee_id=_me),
        alike=True,
        ends={("200", _STALE): 2},
    ),
    "transfer/transfer": Race(
        scene=scenes.plain,
        left=_setting("POST", "conversations/{id}/transfer", assignee_id=_me, note="Mine."),
        right=_setting("POST", "conversations/{id}/transfer", assignee_id=_me, note="Mine."),
        alike=True,
        ends={("200", _STALE): 2},
        after=_one_note,
    ),
    "reply/reply": Race(
        scene=scenes.plain, left=_reply(seen_seq=1), right=_reply(seen_seq=1), alike=True, ends={("201", _MOVED): 1}
    ),
    "merge/merge": Race(
        scene=scenes.two,
        left=_merge("id", "other"),
        right=_merge("other", "id"),
        ends={("200", _STALE): 2, ("200", "409 target_merged"): 2, (_STALE, "200"): 2, ("409 target_merged", "200"): 2},
    ),
    "close/close": Race(
        scene=scenes.plain,
        left=_patch(status="closed"),
        right=_patch(status="closed"),
        alike=True,
        ends={("200", _STALE): 2},
    ),
    "close/reply": Race(
        scene=scenes.plain,
        left=_patch(status="closed"),
        right=_reply(seen_seq=1),
        ends={("200", _CLOSED): 2, ("200", "201"): 2},
    ),
    "merge/reply": Race(
        scene=scenes.two,
        left=_merge("id", "other"),
        right=_reply(),
        ends={("200", _MERGED): 2, ("200", "201"): 2},
    ),
    "merge/send": Race(
        scene=scenes.promised, left=_merge("id", "other"), right=_send, ends={("200", "sent"): 2}, after=_nobody_waits
    ),
    "mail/close": Race(
        scene=scenes.answered_by_mail,
        left=_receive,
        right=_patch(status="closed"),
        ends={("here", "200"): 2, ("anew", "200"): 2},
    ),
    "mail/merge": Race(
        scene=scenes.answered_by_mail,
        left=_receive,
        right=_merge("id", "other"),
        ends={("here", "200"): 2, ("over there", "200"): 2},
    ),
    "say/say": Race(
        scene=scenes.chatting, left=_say, right=_say, alike=True, ends={("here", "here again"): 1}, after=_said_once
    ),
    "say/close": Race(
        scene=scenes.chatting,
        left=_say,
        right=_patch(status="closed"),
        # What he says too late he says in the other one, which he began as well.
        ends={("here", "200"): 2, ("over there", "200"): 2},
        after=_said_once,
    ),
    "say/merge": Race(
        scene=scenes.chatting,
        left=_say,
        right=_merge("id", "other"),
        ends={("here", "200"): 2, ("over there", "200"): 2},
    ),
    "say/reply": Race(
        scene=scenes.chatting,
        left=_say,
        right=_reply(seen_seq=1),
        ends={("here", "201"): 1, ("here", _MOVED): 1},
        after=_said_once,
    ),
    "split/merge": Race(
        scene=scenes.two, left=_split, right=_merge("id", "other"), ends={("201", _STALE): 2, (_STALE, "200"): 2}
    ),
    "split/cancel": Race(scene=scenes.deferred, left=_split, right=_cancel, ends={("201", "200"): 2}),
    "macro/change": Race(scene=scenes.with_macro, left=_run_macro, right=_patch(priority="high"), ends=_ONE_WINS),
    "spam/reply": Race(
        scene=scenes.plain,
        left=_spam,
        right=_reply(status="pending"),
        ends={("200", "409 conversation_spam"): 2, (_STALE, "201"): 2},
    ),
    "draft/draft, both new": Race(
        scene=scenes.plain,
        left=_draft(If_None_Match="*", If_Match=""),
        right=_draft(If_None_Match="*", If_Match=""),
        alike=True,
        ends={("200", _STALE): 1},
        after=_one_draft,
    ),
    "draft/draft": Race(
        scene=scenes.with_draft,
        left=_draft(If_Match='"7"'),
        right=_draft(If_Match='"7"'),
        alike=True,
        ends={("200", _STALE): 1},
        after=_one_draft,
    ),
    "the same request twice": Race(
        scene=scenes.with_key,
        left=_same_key,
        right=_same_key,
        alike=True,
        ends={("201", "201"): 1, ("201", "409 idempotency_running"): 1},
        after=_one_answer,
    ),
    "job/change": Race(
        scene=scenes.with_job,
        left=_do_job,
        right=_patch(tags=_tag, priority="high"),
        ends={("2 changed", _STALE): 2, ("1 changed", "200"): 2},
        after=_tagged,
    ),
    "retry/retry": Race(scene=scenes.failed, left=_retry, right=_retry, alike=True, ends={("200", _TOO_LATE): 1}),
    "retry/cancel": Race(
        scene=scenes.failed,
        left=_retry,
        right=_cancel,
        # To take back what is to be sent again at once comes too late, unless it was asked before that.
        ends={("200", _TOO_LATE): 1, ("200", "200"): 1},
    ),
    "cancel/send": Race(
        scene=scenes.almost_due,
        left=_cancel,
        right=_send,
        ends={("200", "cancelled"): 1, (_TOO_LATE, "sent"): 1},
    ),
    "contact merge/contact merge": Race(
        scene=scenes.two_contacts,
        left=_merge_contact(0),
        right=_merge_contact(1),
        ends={("200", _STALE): 1, (_STALE, "200"): 1},
        after=_one_merged,
    ),
    "hand over/remove team": Race(
        scene=scenes.with_team,
        left=_patch(team_id=_team),
        right=_setting("DELETE", "teams/{team}"),
        ends={("200", "409 in_use"): 2, ("404 not_found", "204"): 1},
    ),
    "tag/tag": Race(
        scene=scenes.with_key,
        left=_setting("POST", "tags", name=_name),
        right=_setting("POST", "tags", name=_name),
        alike=True,
        ends={("201", "409 name_taken"): 1},
    ),
    "use tag/rename tag": Race(
        scene=scenes.with_tag,
        left=_patch(tags=_tag),
        right=_setting("PATCH", "tags/{tag_id}", name=_renamed),
        ends={("200", "200"): 2},
        after=_known,
    ),
    "use tag/remove tag": Race(
        scene=scenes.with_tag,
        left=_patch(tags=_tag),
        right=_setting("DELETE", "tags/{tag_id}"),
        # Whoever uses a tag that has just been removed makes it known again.
        ends={("200", "204"): 2},
        after=_known,
    ),
}
