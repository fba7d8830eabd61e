"""A visitor's side of the live chat, for native apps and tests: what docs/chat.md asks of a client.

    async with ChatClient("https://desk.example", inbox_id) as chat:
        await chat.open(prechat={"name": "Ann"})
        await chat.say("Where is my transfer?").stored
        await chat.until(lambda: any(one.data["author"]["kind"] == "agent" for one in chat.messages))

What is said waits in an outbox until the desk has it, one message at a time so that their order stays, and goes again
under its `client_id` after every loss. What the desk says is in `log`, without a gap: an entry that does not follow the
last one makes the client ask for what is missing. Connections are made again by themselves. `state` is what an app
keeps to go on later with: the token in it is a secret.

Whoever writes one for a phone reads `log` and `outbox` first: they are the promises. `hearing` is what frames mean,
`link` the three ways by which they come, `requests` the rest.
"""

from helpdesk.chat_client.client import ChatClient
from helpdesk.chat_client.link import PROTOCOL, SILENCE
from helpdesk.chat_client.values import Entry, Outgoing, Refused, Told, Transport

__all__ = ["PROTOCOL", "SILENCE", "ChatClient", "Entry", "Outgoing", "Refused", "Told", "Transport"]
