"""Looking at an account: nothing is skipped and nothing comes twice, whatever happens between two pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.x.tests.desk import Crash, Host, polling
from connectors.x.tests.fake import US, FakeX
from helpdesk.channels import InboundMessage


@pytest.fixture
async def x() -> AsyncIterator[FakeX]:
    with FakeX() as fake:
        yield fake


async def test_mentions_and_messages_come_in_once(x: FakeX) -> None:
    picture = x.world.picture()
    post = x.mention("ann", "@desk where is my money? &lt;3", media=[picture])
    event = x.dm("bob", "my number is 17")
    host = Host()
    async with polling(x, host):
        assert set(host.items) == {f"m;{post}", f"dm;{event}"}
    mention, message = host.parsed()
    assert isinstance(mention, InboundMessage) and isinstance(message, InboundMessage)
    ann, bob = x.world.user("ann"), x.world.user("bob")
    assert (mention.external_id, mention.sender.handle, mention.sender.name) == (post, ann, "Ann")
    assert (mention.text, mention.visibility, mention.thread) == (
        "@desk where is my money? <3",
        "public",
        f"post:{post}",
    )
    assert mention.external_url == f"https://x.com/ann/status/{post}"
    assert mention.profile is not None and mention.profile.followers == 12
    assert mention.attachments[0].source.startswith(x.origin)
    assert (message.text, message.visibility, message.thread) == ("my number is 17", "direct", f"dm:{bob}")
    async with polling(x, host):  # another worker takes over
        assert len(host.items) == 2
        assert host.place["user"] == {"id": US, "username": "desk"}
