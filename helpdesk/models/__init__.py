"""The tables, one file per aggregate. The classes declare them; the statements of the services use the tables.

Importing this package fills `metadata` with all of them.
"""

from helpdesk.models import agents, contacts, conversations, events, inboxes, messages
from helpdesk.models.columns import metadata

__all__ = ["agents", "contacts", "conversations", "events", "inboxes", "messages", "metadata"]
