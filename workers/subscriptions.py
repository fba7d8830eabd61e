"""Who does what when something happens. Read it aloud."""

from __future__ import annotations

from helpdesk.domain.events import (
    AlertAcknowledged,
    AlertRaised,
    ConversationMerged,
    EscalationAdvanced,
    MessageReceived,
    SlaBreached,
    SlaMet,
    SlaWarning,
)
from helpdesk.services.acknowledgements import acknowledge, acknowledge_filed
from helpdesk.services.foreseen import Foreseen
from helpdesk.services.relay import Subscriptions
from helpdesk.services.webhook_deliveries import post_webhooks

SUBSCRIPTIONS: Subscriptions = {
    MessageReceived.type: (acknowledge,),
    ConversationMerged.type: (post_webhooks,),
    SlaWarning.type: (post_webhooks,),
    SlaBreached.type: (post_webhooks,),
    SlaMet.type: (post_webhooks,),
    EscalationAdvanced.type: (post_webhooks,),
    AlertRaised.type: (post_webhooks,),
    AlertAcknowledged.type: (post_webhooks,),
}

FORESEEN: Foreseen = {
    acknowledge.__name__: acknowledge_filed,
}
"""Of these, what filing can do in passing, where it relays as well: see `helpdesk.services.foreseen`."""
