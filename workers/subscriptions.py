"""Who does what when something happens. Read it aloud."""

from __future__ import annotations

from helpdesk.domain.events import MessageReceived
from helpdesk.services.acknowledgements import acknowledge, acknowledge_filed
from helpdesk.services.foreseen import Foreseen
from helpdesk.services.relay import Subscriptions

SUBSCRIPTIONS: Subscriptions = {
    MessageReceived.type: (acknowledge,),
}

FORESEEN: Foreseen = {
    acknowledge.__name__: acknowledge_filed,
}
"""Of these, what filing can do in passing, where it relays as well: see `helpdesk.services.foreseen`."""
