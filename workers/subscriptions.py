"""Who does what when something happens. Read it aloud."""

from __future__ import annotations

from helpdesk.domain.events import (
    ConversationAssigned,
    ConversationStatusChanged,
    ConversationUpdated,
    MessageCreated,
    MessageFailed,
    MessageReceived,
    SlaBreached,
    SlaMet,
    SlaWarning,
)
from helpdesk.services.acknowledgements import acknowledge, acknowledge_filed
from helpdesk.services.alerts import resolve_alerts
from helpdesk.services.escalations import (
    begin_filed,
    begin_ladders,
    begin_with_complaints,
    begin_with_messages,
    follow_conversations,
)
from helpdesk.services.foreseen import Foreseen
from helpdesk.services.rating_requests import plan_ratings
from helpdesk.services.relay import Subscriptions
from helpdesk.services.visitor_waits import follow_visits

SUBSCRIPTIONS: Subscriptions = {
    MessageReceived.type: (acknowledge, begin_with_messages, follow_visits),
    MessageCreated.type: (follow_visits,),
    ConversationUpdated.type: (begin_with_complaints,),
    ConversationAssigned.type: (follow_visits,),
    ConversationStatusChanged.type: (follow_conversations, plan_ratings, follow_visits),
    MessageFailed.type: (follow_conversations,),
    SlaWarning.type: (begin_ladders,),
    SlaBreached.type: (begin_ladders,),
    SlaMet.type: (resolve_alerts,),
}

FORESEEN: Foreseen = {
    acknowledge.__name__: acknowledge_filed,
    begin_with_messages.__name__: begin_filed,
}
"""Of these, what filing can do in passing, where it relays as well: see `helpdesk.services.foreseen`."""
