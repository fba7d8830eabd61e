"""The composition root of the HTTP side: the API, the reference, health, and each connector's routes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from fastapi import FastAPI

import helpdesk
from helpdesk.api import (
    account,
    agents,
    alert_routes,
    alerts,
    attachments,
    audit,
    auth,
    automation_rules,
    board,
    bulk,
    business_hours,
    canned_responses,
    categories,
    console,
    contact_merging,
    contacts,
    conversations,
    custom_fields,
    drafts,
    duty,
    escalation_rules,
    exports,
    handoffs,
    health,
    inbox_consent,
    inboxes,
    jobs,
    macros,
    mentions,
    merging,
    messages,
    moderation,
    presence,
    problems,
    ratings,
    reference,
    reports,
    search,
    service_hours,
    sla,
    sla_policies,
    social,
    spam,
    sso,
    sso_providers,
    stream,
    tags,
    teams,
    tokens,
    transcripts,
    transfers,
    triage,
    views,
    watchers,
    webhooks,
)
from helpdesk.api.dependencies import Touches
from helpdesk.api.edge import JSON_LIMIT, Edge
from helpdesk.channels import Channel
from helpdesk.hosting import VendorHost, VisitorHost
from helpdesk.services.house import Services
from helpdesk.services.streaming import Hub
from helpdesk.services.visiting import VisitorHub

# In the order in which they are tried: answers and the list of conversations are what is asked for most. Their routes
# are handed over as one flat list, since walking included routers costs FastAPI a tenth of that request.
_ROUTERS = (
    messages.answering,
    # These two have words where others have an id: they have to be tried before them.
    views.counts,
    bulk.router,
    conversations.router,
    views.reading,
    stream.router,
    presence.router,
    watchers.router,
    sla.router,
    merging.router,
    transfers.router,
    transcripts.router,
    spam.router,
    triage.router,
    categories.router,
    drafts.router,
    messages.router,
    handoffs.router,
    moderation.router,
    social.router,
    auth.router,
    account.router,
    tokens.router,
    contacts.router,
    contact_merging.router,
    mentions.router,
    search.router,
    inbox_consent.router,
    inboxes.router,
    inboxes.channels,
    agents.router,
    teams.router,
    duty.router,
    tags.router,
    canned_responses.router,
    macros.router,
    custom_fields.router,
    views.router,
    business_hours.router,
    service_hours.router,
    attachments.router,
    webhooks.router,
    alert_routes.router,
    alerts.router,
    sla_policies.router,
    escalation_rules.router,
    automation_rules.router,
    automation_rules.in_conversations,
    jobs.router,
    reports.router,
    board.router,
    exports.router,
    ratings.router,
    ratings.public,
    handoffs.public,
    audit.router,
    sso.router,
    sso_providers.router,
    health.router,
    console.router,
)
_MULTIPART_ROOM = 64 * 1024


def create_app(
    services: Services,
    *,
    hub: Hub | None = None,
    visitors: VisitorHub | None = None,
    beside: Callable[[FastAPI], AbstractAsyncContextManager[object]] | None = None,
) -> FastAPI:
    """The ASGI application over made `services`; whoever made them closes them.

    `hub` serves the agents' streams and `visitors` those who read along; whoever runs the server closes both first,
    since streams do not end by themselves. `beside` runs for as long as the application does (`helpdesk up`: the
    workers).
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with beside(app) if beside else nullcontext():
            yield
        await app.state.hub.close()
        await app.state.visitors.close()
        await app.state.touches.settle()

    app = FastAPI(
        title="Helpdesk",
        version=helpdesk.__version__,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # An address is right or it is not: a redirect would repeat what stands in the wrong one, tokens included.
        redirect_slashes=False,
        routes=[route for router in _ROUTERS for route in router.routes],
    )
    app.state.services = services
    app.state.hub = hub or Hub(services)
    app.state.visitors = visitors or VisitorHub(services)
    app.state.touches = Touches(services.database)
    app.state.metrics = health.Metrics(
        lambda: app.state.hub.listeners,
        lambda: (app.state.visitors.visitors, app.state.visitors.listeners),
    )
    upload = services.settings.max_upload_mb * 1024 * 1024 + _MULTIPART_ROOM
    limits = {"/api/v1/attachments": upload, "/channels/": upload, "/rate/": ratings.BODY_LIMIT, "/": JSON_LIMIT}
    app.add_middleware(Edge, limits=limits)
    problems.install(app)
    app.add_exception_handler(404, console.no_such_page)
    for channel in services.channels.values():
        if channel.capabilities.live:
            host = VisitorHost(services, app.state.visitors, channel)
            app.include_router(channel.load_routes()(host), prefix=f"/channels/{channel.name}")
            if channel.pages:
                app.include_router(channel.load_pages()(host))
    for family, members in _families(services).items():
        routes = members[0].load_webhooks()(VendorHost(services, members))
        app.include_router(routes, prefix=f"/channels/{family}")
    reference.install(app)
    return app


def _families(services: Services) -> dict[str, list[Channel]]:
    """The channels that vendors call, by the word that their addresses begin with."""
    found: dict[str, list[Channel]] = {}
    for channel in services.channels.values():
        if channel.routes and not channel.capabilities.live:
            found.setdefault(channel.family or channel.name, []).append(channel)
    return found
