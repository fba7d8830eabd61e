"""E-mail: IMAP or the built-in SMTP/LMTP door in, SMTP out."""

from helpdesk.channels import Capabilities, Channel

CHANNEL = Channel(
    name="email",
    title="E-mail",
    capabilities=Capabilities(
        html=True,
        subject=True,
        attachments=True,
        cc=True,
        tokens=True,
        acknowledge=True,
        deferrable=True,
        letters=True,
    ),
    config="connectors.email.config:EmailConfig",
    connector="connectors.email.connector:EmailConnector",
    parse="connectors.email.parse:parse",
    address_key="address",
    service="connectors.email.door:serve",
)
