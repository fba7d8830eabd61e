"""What is answered to whoever has a chat mailed."""

from __future__ import annotations

from uuid import UUID

from helpdesk.api.schemas.shared import Shown


class TranscriptShown(Shown):
    """The letter, as a message of the conversation: `GET /messages/{id}` says whether it was sent."""

    message_id: UUID
