"""What IMAP and SMTP share about reaching a server: whose certificates to trust, and the port's word for failing."""

from __future__ import annotations

import ssl

from helpdesk import net
from helpdesk.channels import ChannelError, Misconfigured, Unreachable


def tls_context(ca_file: str) -> ssl.SSLContext:
    """The public authorities, or the one in `ca_file` and no other. Raises Misconfigured."""
    if not ca_file:
        return net.tls_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise Misconfigured("ca_file cannot be read, or holds no certificate") from None


def reached_not(error: net.Unreachable) -> ChannelError:
    """The port's word for a connection that the guard did not make."""
    if error.kind is net.Kind.BLOCKED:
        return Misconfigured(error.detail)
    return Unreachable(error.detail)
