"""X: mentions, direct messages and answers to them."""

from helpdesk.channels import Capabilities, Channel

CHANNEL = Channel(
    name="x",
    title="X",
    capabilities=Capabilities(attachments=True, public_replies=True, chains=True, hide=True, max_length=280),
    config="connectors.x.config:XConfig",
    connector="connectors.x.connector:XConnector",
    parse="connectors.x.parse:parse",
    address_key="username",
    routes="connectors.x.routes:routes",
    measure="connectors.x.text:measure",
)
