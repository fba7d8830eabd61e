"""The tables, one file per aggregate. The classes declare them; the statements of the services use the tables.

Importing this package fills `metadata` with all of them.
"""

from helpdesk.models import agents, alerts, contacts, conversations, events, inboxes, jobs, messages, sla, webhooks
from helpdesk.models.columns import metadata

__all__ = [
    "agents",
    "alerts",
    "contacts",
    "conversations",
    "events",
    "inboxes",
    "jobs",
    "messages",
    "metadata",
    "sla",
    "webhooks",
]
