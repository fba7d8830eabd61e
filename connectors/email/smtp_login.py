"""A connection to a submission server: through the guard, encrypted as the URL says, logged in."""

from __future__ import annotations

import aiosmtplib
from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponseException

from connectors.email.config import EmailConfig, Server
from connectors.email.oauth import TokenSource
from connectors.email.reach import reached_not, tls_context
from connectors.email.smtp_replies import LOGIN_REFUSED, codes, failure
from connectors.email.smtp_session import SmtpSession, Waits
from helpdesk import net
from helpdesk.channels import AuthenticationFailed, ChannelError, Misconfigured, TemporaryFailure
from helpdesk.failpoints import reached


async def open_session(
    config: EmailConfig, server: Server, guard: net.Guard, tokens: TokenSource | None, waits: Waits
) -> SmtpSession:
    """Connect through the guard, encrypt and log in. Raises Unreachable, Misconfigured, AuthenticationFailed, ..."""
    context = tls_context(config.ca_file) if server.tls != "none" else None
    try:
        sock = await guard.open_socket(server.host, server.port)
    except net.Unreachable as error:
        raise reached_not(error) from None
    client = SMTP(
        hostname=server.host,
        sock=sock,
        timeout=waits.command,
        use_tls=server.tls == "implicit",
        start_tls=False,
        tls_context=context,
        local_hostname=config.domain if config.domain.isascii() else "localhost",
    )
    try:
        await client.connect(timeout=waits.connect)
        await _ehlo(client)
        if server.tls == "starttls":
            if not client.supports_extension("starttls"):
                raise Misconfigured("The mail server does not offer STARTTLS here")
            await client.starttls(timeout=waits.connect)
            await _ehlo(client)
        await _log_in(client, config, tokens)
    except BaseException as error:
        client.close()
        if isinstance(error, SMTPException | OSError | EOFError | ValueError):
            raise _as_channel_error(error) from None
        raise
    reached("smtp.connected")
    return SmtpSession(client, waits)


async def _ehlo(client: SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()


async def _log_in(client: SMTP, config: EmailConfig, tokens: TokenSource | None) -> None:
    if config.auth == "xoauth2" and tokens is not None:
        await _log_in_with_token(client, config.smtp_user or config.imap_user or config.address, tokens)
    elif config.smtp_user:
        password = config.smtp_password.get_secret_value()
        # PLAIN and LOGIN carry the same; CRAM-MD5 would make the server keep the password readable.
        if "plain" in client.server_auth_methods:
            await client.auth_plain(config.smtp_user, password)
        elif "login" in client.server_auth_methods:
            await client.auth_login(config.smtp_user, password)
        else:
            raise Misconfigured(
                "The mail server takes no password on this connection: try smtps:// or smtp+starttls://"
            )


async def _log_in_with_token(client: SMTP, user: str, tokens: TokenSource) -> None:
    if "xoauth2" not in client.server_auth_methods:
        raise Misconfigured("The mail server does not offer XOAUTH2")
    token = await tokens.token()
    try:
        await client.auth_xoauth2(user, token)
    except SMTPAuthenticationError as error:
        if 400 <= error.code < 500 or not tokens.forget(token):
            raise
        # It may have been withdrawn early: one more try, with another one.
        await client.auth_xoauth2(user, await tokens.token())


def _as_channel_error(error: BaseException) -> ChannelError:
    if isinstance(error, SMTPAuthenticationError):
        if 400 <= error.code < 500 and error.code not in LOGIN_REFUSED:
            return TemporaryFailure(f"The mail server takes no logins now ({codes(error.code, error.message)})")
        return AuthenticationFailed(f"The mail server refused the login ({codes(error.code, error.message)})")
    if isinstance(error, SMTPResponseException):
        if 500 <= error.code < 600:
            # A greeting of 554 and the like concern the connection, not a message: a person has to look.
            return Misconfigured(f"The mail server refuses this connection ({codes(error.code, error.message)})")
        return failure("the connection", error.code, error.message)
    cause = error.__cause__ if isinstance(error.__cause__, OSError | EOFError) else error
    return reached_not(net.Unreachable(net.kind_of(cause)))
