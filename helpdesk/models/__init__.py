"""The tables, one file per aggregate. The classes declare them; the statements of the services use the tables.

Importing this package fills `metadata` with all of them.
"""

from helpdesk.models import (
    agents,
    alerts,
    contacts,
    conversations,
    desk,
    events,
    inboxes,
    jobs,
    messages,
    rules,
    search,
    sla,
    social,
    visitors,
    webhooks,
)
from helpdesk.models.columns import metadata

__all__ = [
    "agents",
    "alerts",
    "contacts",
    "conversations",
    "desk",
    "events",
    "inboxes",
    "jobs",
    "messages",
    "metadata",
    "rules",
    "search",
    "sla",
    "social",
    "visitors",
    "webhooks",
]
