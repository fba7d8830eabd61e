"""What a search looks into: one row for a message, a conversation or a contact, made of tokens."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Index, Integer, String
from sqlmodel import Field

from helpdesk.models.columns import Base, at, only_where, prose, ref, table_of

Number = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite joins its full-text index by the row's own number, and takes a column for that by this type only."""


class SearchRow(Base, table=True):
    """A row of a conversation has no `message_id`; a contact's has his `contact_id` only.

    `n` is its age: whatever came later has a greater one. `tokens` are what it is found by (`domain.search_terms`),
    `scope` the marks of whoever may see it, `title` the tokens of its subject or name and `codes` the ids that it is,
    or names: lines of words. By the last two it is ranked. The full-text indexes over scope and tokens are each
    database's own, and made by the revision.
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
    scope: str = prose()
    tokens: str = prose()


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
