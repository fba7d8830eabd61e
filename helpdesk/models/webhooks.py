"""What is told to other systems, and how far that got."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlmodel import Field

from helpdesk.models.columns import Base, at, json, key, only_where, prose, ref, table_of, words


class Webhook(Base, table=True):
    """An address that is told of `events`, signed with `secret` (sealed); of what is in `inbox_ids` alone, if any.

    Ids of inboxes are texts there; null is the whole house.
    """

    __tablename__ = "webhooks"

    id: UUID = key()
    name: str = words()
    url: str = words()
    secret: bytes = Field(default=b"", sa_type=LargeBinary)
    events: list[str] = json(list)
    inbox_ids: list[str] | None = json(nullable=True)
    enabled: bool = True
    disabled_reason: str = prose()
    failing_since: datetime | None = at(nullable=True)
    version: int = 1
    created_at: datetime = at()
    updated_at: datetime = at()


class WebhookDelivery(Base, table=True):
    """One message to one webhook: `queued → sent | failed`. `body` is fixed when it is written, and signed as sent.

    What belongs to one conversation goes out in the order of `position`, each after the one before it has ended.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_due", "next_attempt_at", **only_where("status = 'queued'")),
        Index("uq_webhook_deliveries_event", "webhook_id", "event_id", unique=True),
        Index(
            "ix_webhook_deliveries_order",
            "webhook_id",
            "conversation_id",
            "position",
            **only_where("status = 'queued' AND conversation_id IS NOT NULL"),
        ),
        Index("ix_webhook_deliveries_created", "webhook_id", "created_at", "id"),
    )

    id: UUID = key()
    webhook_id: UUID = ref("webhooks.id", ondelete="CASCADE")
    event_id: UUID = Field()
    conversation_id: UUID | None = Field(default=None)
    position: int | None = Field(default=None, nullable=True, sa_type=BigInteger)
    type: str = words()
    body: str = prose()
    status: str = words("queued")
    attempts: int = 0
    last_status: int | None = Field(default=None, nullable=True)
    error: str = prose()
    created_at: datetime = at()
    next_attempt_at: datetime = at()
    give_up_at: datetime = at()
    sent_at: datetime | None = at(nullable=True)
    claimed_by: str = words()
    claimed_until: float = 0.0
    claim: int = 0


webhooks = table_of(Webhook)
webhook_deliveries = table_of(WebhookDelivery)
