"""A desk after years of work, of any size and always in the same proportions, written straight into PostgreSQL.

    await populate(url, 1_000_000)

Three in a hundred conversations are open, two pending, the others resolved or closed. Ten teams with an inbox each,
forty agents, four to a team. A third as many contacts as conversations, chosen by Zipf's law: a few of them write all
the time. Three in ten conversations are in Chinese, simplified or traditional. Each has five messages. The same seed
makes the same desk; the newest conversations are the same at every size, and `RARE` is in ten messages at any size.

Rows go in by COPY, without the indexes (they are made afterwards, as whoever restores a backup does) and without
triggers, with what every filed mail leaves behind: the message, the inbox it touched, the clock that was kept, the row
that a search finds it by.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import JSON, Table

from helpdesk import migrate
from helpdesk.db import Database
from helpdesk.domain.search_entries import Entry, line, of_contact, scope_of
from helpdesk.domain.search_terms import number_token, tokens_of
from helpdesk.models.agents import agents, api_tokens, team_members, teams
from helpdesk.models.contacts import contact_identities, contacts
from helpdesk.models.conversations import conversation_inboxes, conversation_tags, conversations
from helpdesk.models.inboxes import inboxes
from helpdesk.models.messages import messages
from helpdesk.models.search import search_rows, search_state
from helpdesk.models.sla import sla_clocks
from helpdesk.services import accounts
from helpdesk.services.search_store import FIRST

SEED: Final = 20_260_101
TEAMS, AGENTS, MESSAGES = 10, 40, 5
RARE: Final = "Ptarmigan"
"""A word in ten messages of the newest thousand conversations, whatever the size."""
COMMON: Final = "withdrawal"
"""A word of every fifth sentence in English."""

_BATCH: Final = 5_000
_APART: Final = timedelta(minutes=3)
_STATUSES: Final = ("open",) * 3 + ("pending",) * 2 + ("resolved",) * 35 + ("closed",) * 60
_CATEGORIES: Final = ("account", "transaction", "security", "technical", "how-to", "complaint", "feedback")
_TAGS: Final = ("vip", "refund", "ledger", "kyc", "bug", "swap", "bridge", "fees")

_WHO = ("I", "My partner", "My company", "A colleague", "Our treasurer")
_DID = ("started a withdrawal", "sent a transfer", "opened the wallet", "changed the phone", "asked for a limit")
_WHEN = ("yesterday", "this morning", "an hour ago", "on Monday", "before the weekend")
_THEN = (
    "and it has not arrived",
    "and the app shows an error",
    "but the balance is still the old one",
    "and nobody has answered",
    "and now the account is locked",
)
_谁 = ("我", "我的同事", "我们公司", "我朋友", "我太太")
_做 = ("昨天提现", "今天早上转账", "刚刚打开钱包", "上周换了手机", "申请提高限额")
_后 = ("一直没有到账", "应用显示错误", "余额没有变化", "没有人回复", "账户被锁定了")
_做繁 = ("昨天提現", "今天早上轉帳", "剛剛打開錢包", "上週換了手機", "申請提高限額")
_后繁 = ("一直沒有到帳", "應用顯示錯誤", "餘額沒有變化", "沒有人回覆", "帳戶被鎖定了")


def sentences() -> dict[str, list[str]]:
    """What customers and agents say, by language: a few hundred sentences."""
    english = [f"{who} {did} {when} {then}." for who in _WHO for did in _DID for when in _WHEN for then in _THEN]
    return {
        "en": english,
        "zh-Hans": [f"{who}{did}，{then}。" for who in _谁 for did in _做 for then in _后],
        "zh-Hant": [f"{who}{did}，{then}。" for who in _谁 for did in _做繁 for then in _后繁],
    }


def identifier(kind: int, number: int, at: datetime) -> UUID:
    """A UUIDv7 that lies where its time belongs, the same in every run."""
    milliseconds = int(at.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (7 << 76) | ((kind & 0xFFF) << 64) | (2 << 62) | number)


def fixed(kind: int, number: int) -> UUID:
    """The id of something that is older than all conversations."""
    return identifier(kind, number, datetime(2015, 1, 1, tzinfo=UTC))


TEAM_KIND, AGENT_KIND, INBOX_KIND, CONTACT_KIND, CONVERSATION_KIND, MESSAGE_KIND, TOKEN_KIND = range(1, 8)


LARGE: Final = (
    conversations,
    conversation_inboxes,
    conversation_tags,
    messages,
    sla_clocks,
    contacts,
    contact_identities,
    search_rows,
)
"""What grows with the desk."""


class _Copy:
    """Rows of one table on their way in. What a row does not give is the model's default."""

    def __init__(self, table: Table, *columns: str, **constants: Any) -> None:
        self.table, self._rows = table, list[tuple[Any, ...]]()
        left = [column for column in table.columns if column.name not in columns]
        rest = {c.name: constants[c.name] if c.name in constants else _default(c) for c in left}
        self._names, self._tail = [*columns, *rest], tuple(rest.values())

    def add(self, *values: Any) -> None:
        self._rows.append(values + self._tail)

    async def write(self, connection: asyncpg.Connection) -> None:
        await connection.copy_records_to_table(self.table.name, records=self._rows, columns=self._names)
        self._rows.clear()


@cache
def _tokens(sentence: str) -> dict[str, None]:
    """Every sentence is said thousands of times."""
    return tokens_of(sentence)


class _Found(_Copy):
    """Rows of the search index, numbered as they come."""

    def __init__(self) -> None:
        names = ("n", "message_id", "conversation_id", "contact_id", "at", "title", "codes", "scope", "tokens")
        super().__init__(search_rows, *names)
        self.last = FIRST

    def take(self, entry: Entry) -> None:
        self.find(None, None, entry.contact_id, entry.at, entry.title, entry.codes, entry.scope, entry.tokens)

    def find(self, *values: Any) -> None:
        """A row with the next number, and these in the order of its columns."""
        self.last += 1
        self.add(self.last, *values)


def _default(column: Any) -> Any:
    if column.nullable:
        return None
    python = column.type.python_type
    if isinstance(column.type, JSON):
        return "{}" if column.name in ("custom_fields", "config", "data") else "[]"
    found = getattr(column.default, "arg", None)
    if found is not None and not callable(found):
        return found
    return {str: "", int: 0, float: 0.0, bool: False, bytes: b"key"}[python]


async def populate(url: str, count: int, *, tokens: dict[str, tuple[int, str]], now: datetime) -> None:
    """A migrated database with `count` conversations. `tokens` are API tokens: plain → (agent, role)."""
    database = Database(url)
    await migrate.upgrade(database)
    await database.close()
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        indexes = await _drop_indexes(connection, [table.name for table in LARGE])
        await _people(connection, tokens, now=now)
        found = _Found()
        await _contacts(connection, found, max(1, count // 3), now=now)
        for copies in _conversations(found, count, now=now):
            for copy in copies:
                await copy.write(connection)
        state = _Copy(search_state, "name", "newest", oldest=FIRST)
        state.add("search", found.last)
        await state.write(connection)
        await connection.execute("SET maintenance_work_mem = '512MB'")
        for statement in indexes:
            await connection.execute(statement)
        await connection.execute(f"SELECT setval('conversation_number', {count})")
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _drop_indexes(connection: asyncpg.Connection, tables: Sequence[str]) -> list[str]:
    """Those that no constraint needs; answers what makes them again."""
    found = await connection.fetch(
        "SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS made FROM pg_index i "
        "WHERE i.indrelid = ANY($1::text[]::regclass[]) "
        "AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)",
        list(tables),
    )
    for row in found:
        await connection.execute(f"DROP INDEX {row['name']}")
    return [row["made"] for row in found]


async def _people(connection: asyncpg.Connection, tokens: dict[str, tuple[int, str]], *, now: datetime) -> None:
    roles = dict(tokens.values())
    stamps = {"created_at": now, "updated_at": now}
    people = _Copy(agents, "id", "email", "name", "role", locale="en", active=True, duty="auto", version=1, **stamps)
    for number in range(AGENTS):
        role = roles.get(number, "agent")
        people.add(fixed(AGENT_KIND, number), f"agent{number}@bench.test", f"Agent {number}", role)
    groups = _Copy(teams, "id", "name", version=1, **stamps)
    members = _Copy(team_members, "team_id", "agent_id", role="member")
    desks = _Copy(inboxes, "id", "name", "handle", "team_id", channel="email", state="active", version=1, **stamps)
    for number in range(TEAMS):
        team = fixed(TEAM_KIND, number)
        groups.add(team, f"Team {number}")
        desks.add(fixed(INBOX_KIND, number), f"Desk {number}", f"desk{number}@bench.test", team)
        for agent in range(number, AGENTS, TEAMS):
            members.add(team, fixed(AGENT_KIND, agent))
    scopes = '["conversations:read","conversations:write","contacts:read","reports:read"]'
    keys = _Copy(api_tokens, "id", "agent_id", "digest", name="bench", kind="agent", scopes=scopes, created_at=now)
    for plain, (number, _) in tokens.items():
        keys.add(fixed(TOKEN_KIND, number), fixed(AGENT_KIND, number), accounts.digest_of(plain))
    for copy in (people, groups, members, desks, keys):
        await copy.write(connection)


async def _contacts(connection: asyncpg.Connection, found: _Found, count: int, *, now: datetime) -> None:
    people = _Copy(contacts, "id", "name", "language", version=1, created_at=now, updated_at=now)
    handles = _Copy(contact_identities, "id", "contact_id", "handle", channel="email", verified=True, created_at=now)
    for number in range(count):
        contact = fixed(CONTACT_KIND, number)
        name, handle = f"Customer {number}", f"customer{number}@customer.test"
        people.add(contact, name, "en")
        handles.add(contact, contact, handle)
        entry = of_contact({"id": contact, "name": name, "custom_fields": {}, "updated_at": now}, [handle])
        found.take(entry)
        if number % _BATCH == _BATCH - 1 or number == count - 1:
            for copy in (people, handles, found):
                await copy.write(connection)


def _conversations(found: _Found, count: int, *, now: datetime) -> Iterator[tuple[_Copy, ...]]:
    """The oldest first, as time writes them, in batches."""
    said, people = sentences(), max(1, count // 3)
    chats = _Copy(
        conversations,
        *("id", "number", "subject", "contact_id", "contact_handle", "inbox_id", "status", "priority", "category"),
        *("assignee_id", "team_id", "preview", "last_message_direction", "last_agent_seq", "created_at", "updated_at"),
        *("last_activity_at", "waiting_since", "next_due_at", "due_soon_at", "language"),
        channel="email",
        message_count=MESSAGES,
        seq=MESSAGES,
        version=2,
        last_incoming_seq=MESSAGES,
        sla_paused=False,
    )
    touched = _Copy(conversation_inboxes, "conversation_id", "inbox_id")
    tagged = _Copy(conversation_tags, "conversation_id", "tag")
    entries = _Copy(
        messages,
        *("id", "conversation_id", "seq", "type", "inbox_id", "author_kind", "author_id", "author_name", "subject"),
        *("text", "new_text", "external_id", "language", "delivery_status", "received_at", "created_at", "sent_at"),
        channel="email",
        visibility="direct",
        private=False,
    )
    clocks = _Copy(
        sla_clocks,
        *("conversation_id", "inbox_id", "state", "started_at", "due_at", "ended_at", "breached_at", "next_due_at"),
        kind="first_response",
        cycle=1,
        channel="email",
        policy_id=fixed(0, 1),
        policy_version=1,
        target=86_400,
        start_seq=1,
    )
    copies = (chats, touched, tagged, entries, clocks, found)
    for number in range(count, 0, -1):  # its age: the newest is 1 at every size
        _conversation(copies, count - number + 1, number, said, people, now=now)
        if number % _BATCH == 1:
            yield copies
    yield copies


def _conversation(
    copies: tuple[Any, ...], number: int, age: int, said: dict[str, list[str]], people: int, *, now: datetime
) -> None:
    chats, touched, tagged, entries, clocks, found = copies
    chance = random.Random(SEED + age)
    began = now - age * _APART
    conversation = identifier(CONVERSATION_KIND, age, began)
    desk, status = chance.randrange(TEAMS), chance.choice(_STATUSES)
    inbox, team = fixed(INBOX_KIND, desk), fixed(TEAM_KIND, desk)
    language = chance.choice(("en",) * 7 + ("zh-Hans",) * 2 + ("zh-Hant",))
    rank = int(people ** chance.random()) - 1  # Zipf: the chance of a rank falls with the rank
    contact, handle = fixed(CONTACT_KIND, rank), f"customer{rank}@customer.test"
    agent = desk + TEAMS * chance.randrange(AGENTS // TEAMS)
    waits = status == "open" and chance.random() < 0.7
    subject = chance.choice(said[language])
    his = fixed(AGENT_KIND, agent) if chance.random() < 0.8 else None
    title, token, scope = line(_tokens(subject)), number_token(number), scope_of([inbox], team, his)
    found.find(None, conversation, None, began, title, line([token]), scope, " ".join([*_tokens(subject), token]))
    at, text, direction = began, "", "incoming"
    for seq in range(1, MESSAGES + 1):
        ours = seq % 2 == 0 or (seq == MESSAGES and not waits)
        direction = "outgoing" if ours else "incoming"
        parts = [chance.choice(said[language]) for _ in range(chance.randint(1, 4))]
        if seq == 1 and age % 100 == 50 and age <= 1_000:
            parts.append(RARE)
        text = " ".join(parts)
        message = identifier(MESSAGE_KIND, age * 8 + seq, at)
        tokens = {token: None for sentence in (subject, *parts) for token in _tokens(sentence)}
        found.find(message, conversation, None, at, title, line(()), scope, " ".join(tokens))
        entries.add(
            *(message, conversation, seq, direction, inbox),
            *(("agent", fixed(AGENT_KIND, agent), f"Agent {agent}") if ours else ("contact", contact, handle)),
            *(subject, text, text, f"<{age}.{seq}@bench.test>", language, "sent" if ours else None),
            *(None if ours else at, at, at if ours else None),
        )
        at += timedelta(minutes=chance.randint(1, 600))
    last = min(at, now)
    due = last + timedelta(hours=chance.randint(-12, 24)) if waits else None
    chats.add(
        *(conversation, number, subject, contact, handle, inbox, status, chance.choice((0, 1, 1, 1, 2, 3))),
        *(chance.choice(_CATEGORIES), his, team, text[:120]),
        *(direction, 4, began, last, last, last if waits else None, due, due and due - timedelta(hours=2), language),
    )
    touched.add(conversation, inbox)
    for tag in {chance.choice(_TAGS) for _ in range(chance.randint(0, 2))}:
        tagged.add(conversation, tag)
    late = chance.random() < 0.06
    ended = began + timedelta(hours=30 if late else chance.uniform(0.1, 23))
    promise = began + timedelta(days=1)
    broken = promise if late else None
    clocks.add(conversation, inbox, "breached" if late else "met", began, promise, ended, broken, None)
