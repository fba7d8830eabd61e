"""Older mail, on request: what lies in the mailbox below the place where the inbox began."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.email.config import EmailConfig
from connectors.email.imap import DESCRIBE_AT_ONCE, Place, first_place, mailbox_name, unknown
from connectors.email.imap_fetch import Fetcher
from connectors.email.imap_login import logged_in
from connectors.email.imap_session import Session
from connectors.email.imap_text import Described
from connectors.email.oauth import TokenSource
from helpdesk.channels import Host, TemporaryFailure

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


async def backfill(
    config: EmailConfig,
    host: Host,
    tokens: TokenSource | None,
    *,
    since: datetime | None,
    dry_run: bool,
    tell: Callable[[int, int], None],
) -> int:
    """Accept older mails as `backfilled`; answers how many there are that we do not have, by position.

    Safe beside a running `receive`, and safe to repeat: it never goes above the inbox's cursor, so no new mail is taken
    for an old one, and moves the cursor only to set its beginning where there is none. Flags are left alone. A mail
    that is held under another position is counted, and then passed over by digest. Raises a ChannelError.
    """
    async with logged_in(config, host.guard, tokens) as session:
        mailbox = mailbox_name(config)
        box = await session.select(mailbox)
        place = Place.read(await host.cursor(), mailbox)
        if place is None:
            place = first_place(box, mailbox)
            if not dry_run:
                await host.accept([], cursor=place.cursor())
        elif not place.holds(box) or place.uid < place.rescan_to:
            raise TemporaryFailure("The server has renumbered the mailbox, and it is being read anew: try again later")
        fetcher = Fetcher(session, {})
        wanted = await _wanted(session, fetcher, host, place, since)
        tell(0, len(wanted))
        if dry_run:
            return len(wanted)
        done = 0
        for batch in fetcher.batches(wanted):
            items = await unknown(host, await fetcher.fetch(batch, place.prefix))
            await host.accept([replace(item, backfilled=True) for item in items])
            done += len(batch)
            tell(done, len(wanted))
        return len(wanted)


async def _wanted(
    session: Session, fetcher: Fetcher, host: Host, place: Place, since: datetime | None
) -> list[Described]:
    criteria = []
    if since is not None:
        # SEARCH compares dates without times and zones (RFC 3501 section 6.4.4): a day early, then exactly.
        day = since - timedelta(days=1)
        criteria.append(f"SINCE {day.day}-{_MONTHS[day.month - 1]}-{day.year}")
    known = await host.known(place.prefix)
    uids = [uid for uid in await session.uids(1, *criteria) if uid <= place.uid and f"{place.prefix}{uid}" not in known]
    found: list[Described] = []
    for at in range(0, len(uids), DESCRIBE_AT_ONCE):
        found += await fetcher.describe(uids[at : at + DESCRIBE_AT_ONCE])
    return [one for one in found if since is None or one.received_at >= since]
