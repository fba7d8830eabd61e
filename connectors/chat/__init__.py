"""Live chat: the widget on a website, the app, and whoever speaks `helpdesk.chat.v1` (docs/chat.md)."""

from helpdesk.channels import Capabilities, Channel

CHANNEL = Channel(
    name="chat",
    title="Live chat",
    capabilities=Capabilities(attachments=True, read_receipts=True, typing=True, live=True, max_length=8000),
    config="connectors.chat.config:ChatConfig",
    connector="connectors.chat.connector:ChatConnector",
    routes="connectors.chat.routes:routes",
    pages="connectors.chat.pages:pages",
    handoff="connectors.chat.handoff:page",
)
