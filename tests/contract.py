"""The reference tried on the application: requests that it invites and requests that it forbids, on a seeded desk.

    ground = await seed(services)
    for finding in tried(app, ground.admin, ground, phases=QUICK): ...

Schemathesis makes the requests of the document. What it cannot know is put in its place here: ids that exist, and the
version that If-Match needs; a part of what it made stays as it is. The stream, which has no end, is left to tests of
its own; its long poll is here, without waiting.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import schemathesis
from fastapi import FastAPI
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response, hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.python import asgi

from helpdesk.domain.values import Actor
from helpdesk.services import accounts, attachments
from helpdesk.services.house import Services
from tests import factories

OF_EACH: Final = 3
"""Things of each kind: some are deleted on the way."""
KNOWN: Final = 0.85
"""Of the ids and versions that were made up, so many become real ones."""
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_VERSION: Final = re.compile(r'"[0-9]{1,18}"')
_NOT_MADE_UP: Final = frozenset({"cursor", "after", "before"})
"""What nobody can make up: a cursor, and times that are in order."""
_ACTED_UPON: Final = ("etag", "location", "retry-after", "www-authenticate", "content-disposition")

_ALIASES: Final[Mapping[str, str]] = {
    "assignee_id": "agent_id",
    "agent_ids": "agent_id",
    "member_ids": "agent_id",
    "lead_ids": "agent_id",
    "mentions": "agent_id",
    "actor_id": "agent_id",
    "ids": "conversation_id",
    "message_ids": "message_id",
    "attachment_ids": "attachment_id",
    "business_hours_id": "hours_id",
    "sla_policy_id": "policy_id",
    "tag_ids": "tag_id",
    "inbox_ids": "inbox_id",
    "team_ids": "team_id",
    "canned_response_id": "response_id",
}
_PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")
_WORDS: Final = ("/api/v1/conversations/counts", "/api/v1/conversations/bulk", "/api/v1/duty/now")
"""Words where others have an id: for other methods they are the id of nothing, and no address of their own."""
_AWAY: Final = '"urn:helpdesk:problem:provider_unavailable"'
"""Nobody answers for the identity providers that are seeded, and 503 says so."""
_REFUSED: Final = ["400", "401", "403", "404", "405", "409", "410", "412", "413", "415", "422", "428", "429"]
_CHECKS: Final[Mapping[str, Any]] = {
    # The document cannot say all of it (a handle is one plain address); what it invites may be refused, as described.
    "positive_data_acceptance": {"enabled": False},
    "negative_data_rejection": {"expected-statuses": _REFUSED},
    "missing_required_header": {"expected-statuses": _REFUSED},
}


@dataclass
class Ground:
    """What there is to be named: tokens of an administrator and of an agent, and ids by the names of parameters."""

    admin: str = ""
    agent: str = ""
    ids: dict[str, list[str]] = field(default_factory=dict)
    random: Random = field(default_factory=lambda: Random(20260131))

    def add(self, **ids: Any) -> None:
        for name, value in ids.items():
            self.ids.setdefault(name, []).append(str(value))

    def named(self, name: str, value: Any, index: int) -> Any:
        """In place of an id that was made up, mostly one that exists; by the same `index`, of things that belong."""
        if isinstance(value, dict):
            return {key: self.named(key, inner, index) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.named(name, inner, index) for inner in value]
        if not isinstance(value, str) or not _UUID.fullmatch(value):
            return value
        known = self.ids.get(_ALIASES.get(name, name))
        return known[index % len(known)] if known and self.likely() else value

    def likely(self) -> bool:
        return self.random.random() < KNOWN


async def seed(services: Services) -> Ground:
    """A desk with some of everything, the agent's own."""
    admin, agent = await factories.agent(services, role="admin"), await factories.agent(services)
    by, worker = await _actor(services, admin.token), await _actor(services, agent.token)
    ground = Ground(admin.token, agent.token, {"hours_version": ["1"]})

    for number in range(OF_EACH):
        colleague = await factories.agent(services)
        inbox = await factories.inbox(services, members=[agent.id])
        webhook = await factories.webhook(services)
        handle = f"mina{number}@customer.test"
        conversation = await factories.conversation(services, inbox_id=inbox, handle=handle, tag=[f"tag {number}"])
        file = {"filename": "a.txt", "content_type": "text/plain", "body": b"a"}
        stored = await attachments.store(services, **file, by=by, now=factories.clock.now())
        ground.add(
            agent_id=colleague.id,
            token_id=colleague.token_id,
            inbox_id=inbox,
            conversation_id=conversation,
            message_id=await factories.incoming(services, conversation, raw=b"Subject: x\r\n\r\nx"),
            contact_id=await factories.contact(services, handle=handle),
            alert_id=await factories.alert(services, conversation, agent.id),
            team_id=await factories.team(services, members=[colleague.id]),
            hours_id=await factories.hours(services),
            policy_id=await factories.policy(services),
            rule_id=await factories.rule(services),
            automation_id=await factories.automation_rule(services),
            field_id=await factories.custom_field(services),
            route_id=await factories.alert_route(services),
            provider_id=await factories.sso_provider(services),
            schedule_id=await factories.duty_schedule(services, agents=[colleague.id]),
            webhook_id=webhook,
            delivery_id=await factories.webhook_delivery(services, webhook),
            macro_id=await factories.macro(services, by=by),
            response_id=await factories.canned_response(services, by=by),
            view_id=await factories.view(services, by=by),
            attachment_id=stored["id"],
            job_id=await factories.job(services, by=worker),
        )
    async with services.database.reading() as session:
        for tag in await factories.tags.list_tags(session, after=None, limit=OF_EACH):
            ground.add(tag_id=tag["id"])
    return ground


async def _actor(services: Services, token: str) -> Actor:
    return (await accounts.identify_token(services.database, token, now=factories.clock.now())).actor


@dataclass
class Tried:
    """What came of it. `answers` counts by operation and status, so that what was never reached is seen."""

    requests: int = 0
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    findings: dict[tuple[str, str, str], str] = field(default_factory=dict)


QUICK: Final[Mapping[str, Mapping[str, Any]]] = {
    "examples": {"fill-missing": True},
    "fuzzing": {"generation": {"mode": "negative", "max-examples": 1}},
}
"""What the document invites of each operation, and one thing that it forbids."""


def tried(
    app: FastAPI,
    token: str,
    ground: Ground,
    *,
    phases: Mapping[str, Mapping[str, Any]],
    examples: int = 1,
    only: str = "",
    unless: str = "^/api/v1/stream$",
    seed: int = 20260131,
    without: Iterable[str] = (),
) -> Tried:
    """Run the phases, with what is configured for each, and note each kind of finding once by operation.

    The application's lifespan is run, in a thread of its own, and ended. `only` and `unless` are patterns of paths;
    `without` names checks that are not made.
    """
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": {"Authorization": f"Bearer {token}"},
            "checks": {**_CHECKS, **{name: {"enabled": False} for name in without}},
            "generation": {"max-examples": examples, "deterministic": True, "database": "none", "no-shrink": True},
            "phases": {name: {"enabled": name in phases, **phases.get(name, {})} for name in _PHASES},
            "request-timeout": 40,
        }
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    schema = schema.exclude(path_regex=unless)
    if only:
        schema = schema.include(path_regex=only)
    guide = _Guide(app, token, ground)

    @schemathesis.hook
    def before_call(_context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
        guide.lead(case)

    found = Tried()
    try:
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                _note(found, event)
            elif isinstance(event, events.NonFatalError | events.FatalError):
                error = event.value if isinstance(event, events.NonFatalError) else event.exception
                found.findings[getattr(event, "label", ""), "error", type(error).__name__] = str(error)[:2000]
    finally:
        hooks.unregister(before_call)
        asgi.shutdown_lifespans()
    return found


class _Guide:
    """Knows what a request has to name so that it gets further than the first refusal."""

    def __init__(self, app: FastAPI, token: str, ground: Ground) -> None:
        self._readable = {path for path, methods in app.openapi()["paths"].items() if "get" in methods}
        self._client, self._headers = asgi.get_client(app), {"Authorization": f"Bearer {token}"}
        self._ground = ground

    def lead(self, case: Case) -> None:
        ground, index = self._ground, self._ground.random.randrange(OF_EACH)
        for part in (case.path_parameters, case.query):
            for name, value in list((part or {}).items()):
                changed = ground.named(name, value, index)
                if changed != value:
                    part[name] = changed
        invited = case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE
        for name in _NOT_MADE_UP.intersection(case.query or {}) if invited else ():
            if ground.likely():
                del case.query[name]
        if case.path.startswith(("/rate/", "/h/")):
            # With a slash in it, it would be another address.
            case.path_parameters["token"] = re.sub(r"[^\w-]", "", str(case.path_parameters["token"])) or "none"
        if isinstance(case.body, dict | list):
            body = ground.named("", case.body, index)
            if isinstance(body, dict) and "into" in body:
                whose = "contact_id" if "/contacts/" in case.path else "conversation_id"
                body["into"] = ground.named(whose, body["into"], index + 1)
            if body != case.body:
                case.body = body
        if case.path.endswith("/poll") and isinstance((case.query or {}).get("wait", 0), int):
            case.query = {**(case.query or {}), "wait": 0}
        self._headers_of(case)

    def _headers_of(self, case: Case) -> None:
        headers, wrong = case.headers or {}, getattr(case.meta and case.meta.phase.data, "parameter", None)
        if headers.get("Idempotency-Key") and wrong != "Idempotency-Key" and self._ground.likely():
            headers["Idempotency-Key"] = f"key-{self._ground.random.getrandbits(64)}"
        given = str(headers.get("If-Match", ""))
        # Where something else is made wrong, what stands here is a filler.
        if (_VERSION.fullmatch(given) and self._ground.likely()) or (given and wrong != "If-Match"):
            etag = self._version(case)
            if etag:
                headers["If-Match"] = etag

    def _version(self, case: Case) -> str | None:
        """Of the nearest thing above that has one."""
        path, known = case.path, case.path_parameters or {}
        while path:
            address = re.sub(r"{(\w+)}", lambda found: str(known.get(found[1], "")), path)
            if path in self._readable and re.fullmatch(r"[\w/-]+", address):
                etag: str | None = self._client.get(address, headers=self._headers).headers.get("etag")
                if etag:
                    return etag
            path = path.rpartition("/")[0]
        return None


@schemathesis.check
def headers_are_told(_context: CheckContext, response: Response, case: Case) -> None:
    """A header that clients act upon is in the document, and what the document has is sent."""
    told = case.operation.schema.raw_schema["paths"][case.path].get(case.method.lower(), {}).get("responses", {})
    answer = told.get(str(response.status_code))
    if answer is None:
        return
    documented = {name.lower() for name in answer.get("headers", {})}
    optional = {"content-disposition"}
    sent = {name for name in _ACTED_UPON if name in response.headers}
    if not documented - optional <= sent <= documented:
        raise AssertionError(f"documented are {sorted(documented)}, sent were {sorted(sent)}")


def _note(found: Tried, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    for case_id, interaction in recorder.interactions.items():
        found.requests += 1
        if interaction.response is not None:
            found.answers[recorder.cases[case_id].value.operation.label, interaction.response.status_code] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                case = recorder.cases[case_id].value
                response = recorder.interactions[case_id].response
                if check.name == "unsupported_method" and case.path in _WORDS:
                    continue
                if check.name == "not_a_server_error" and response is not None and _AWAY in response.text:
                    continue
                said = f"{response.status_code} {response.text[:400]}" if response is not None else "no answer"
                key = case.operation.label, check.name, failure.title
                found.findings.setdefault(
                    key, f"{failure.message[:1200]}\n{check.failure_info.code_sample[:1500]}\n{said}"
                )


def told(findings: Mapping[tuple[str, str, str], str]) -> Iterator[str]:
    for (operation, check, title), text in sorted(findings.items()):
        yield f"{operation}: {check}: {title}\n{text}\n"


def never(tried: Iterable[Tried], labels: Iterable[str]) -> list[str]:
    """Operations that never answered 2xx or 3xx."""
    good = {label for one in tried for label, status in one.answers if status < 400}
    return sorted(set(labels) - good)
