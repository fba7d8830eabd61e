"""Who does what when something happens. Read it aloud."""

from __future__ import annotations

from helpdesk.domain.events import MessageReceived
from helpdesk.services.acknowledgements import acknowledge
from helpdesk.services.relay import Subscriptions

SUBSCRIPTIONS: Subscriptions = {
    MessageReceived.type: (acknowledge,),
}
