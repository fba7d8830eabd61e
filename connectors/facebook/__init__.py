"""Facebook and Instagram: what is written to a Page or an account, and answers to it, by one vendor's Graph API."""

from datetime import timedelta

from helpdesk.channels import Capabilities, Channel

_CAPABILITIES = Capabilities(
    attachments=True,
    public_replies=True,
    direct_replies=True,
    read_receipts=True,
    hide=True,
    reply_window=timedelta(hours=24),
    private_reply_window=timedelta(days=7),
)

CHANNELS = (
    Channel(
        name="facebook",
        title="Facebook Page and Messenger",
        capabilities=_CAPABILITIES,
        config="connectors.facebook.config:MetaConfig",
        connector="connectors.facebook.connector:MetaConnector",
        parse="connectors.facebook.parse:page",
        address_key="page_id",
        routes="connectors.facebook.routes:routes",
        measure="connectors.facebook.lengths:facebook",
        family="facebook",
    ),
    Channel(
        name="instagram",
        title="Instagram",
        capabilities=_CAPABILITIES,
        config="connectors.facebook.config:InstagramConfig",
        connector="connectors.facebook.connector:MetaConnector",
        parse="connectors.facebook.parse:instagram",
        address_key="instagram_id",
        routes="connectors.facebook.routes:routes",
        measure="connectors.facebook.lengths:instagram",
        family="facebook",
    ),
)
