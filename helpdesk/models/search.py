"""What a search looks into: one row for a message, a conversation or a contact, made of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Boolean, Dialect, Index, Integer, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import BindParameter, ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Field

from helpdesk.models.columns import Base, at, only_where, payload, prose, ref, table_of


class _TsVector(FunctionElement[Any]):
    name = "array_to_tsvector"
    inherit_cache = True


class Tokens(TypeDecorator[Sequence[str]]):
    """Words without blanks or quotes: a text search vector on PostgreSQL, one line of text on SQLite."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(String()) if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        words = value or ()
        return list(words) if dialect.name == "postgresql" else " ".join(words)

    def bind_expression(self, bindvalue: BindParameter[Any]) -> ColumnElement[Any]:
        return _TsVector(bindvalue)


@compiles(_TsVector, "postgresql")
def _as_vector(element: _TsVector, compiler: Any, **options: Any) -> str:
    return f"array_to_tsvector({compiler.process(element.clauses, **options)})"


@compiles(_TsVector, "sqlite")
def _as_text(element: _TsVector, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


Number = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite joins its full-text index by the row's own number, and takes a column for that by this type only."""


class SearchRow(Base, table=True):
    """A row of a conversation has no `message_id`; a contact's has his `contact_id` only.

    `n` is its age: whatever came later has a greater one. `tokens` are what it is found by (`domain.search_terms`),
    `title` those of its subject or name and `codes` the ids that it is, or names, as lines of words: by these it is
    ranked. The full-text indexes over `tokens` are each database's own, and made by the revision.
    """

    __tablename__ = "search_rows"
    __table_args__ = (
        Index("uq_search_rows_message", "message_id", unique=True),
        Index("uq_search_rows_contact", "contact_id", unique=True),
        Index("ix_search_rows_conversation_id", "conversation_id"),
        Index(
            "uq_search_rows_conversation",
            "conversation_id",
            unique=True,
            **only_where("message_id IS NULL AND conversation_id IS NOT NULL"),
        ),
    )

    n: int = Field(primary_key=True, sa_type=Number, sa_column_kwargs={"autoincrement": False})
    message_id: UUID | None = ref("messages.id", nullable=True, ondelete="CASCADE")
    conversation_id: UUID | None = ref("conversations.id", nullable=True, ondelete="CASCADE")
    contact_id: UUID | None = ref("contacts.id", nullable=True, ondelete="CASCADE")
    at: datetime = at()
    title: str = prose()
    codes: str = prose()
    tokens: Any = payload(Tokens)


class SearchState(Base, table=True):
    """How rows are numbered: one row, named `search`.

    New ones upwards from `newest`; those that `reindex` finds, the newest first, downwards from `oldest`. `rebuild`
    asks for such a walk.
    """

    __tablename__ = "search_state"

    name: str = Field(primary_key=True, sa_type=String)
    newest: int = Field(sa_type=BigInteger)
    oldest: int = Field(sa_type=BigInteger)
    rebuild: bool = Field(default=False, sa_type=Boolean)


search_rows = table_of(SearchRow)
search_state = table_of(SearchState)
