"""The `helpdesk` command. Each command is a door: it reads its arguments and calls one function of `helpdesk.commands`.

Nothing heavy is imported before a command runs: `--help` is instant, and the parsing process, which imports the main
module again, stays small. While modules are being imported nothing becomes garbage, and looking for it would take up
to half of the time: the collector is on again once a server is ready, or a short command begins its work.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from helpdesk.errors import HelpdeskError

if TYPE_CHECKING:
    from helpdesk.config import Settings

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A helpdesk.")
agent_app = typer.Typer(no_args_is_help=True, help="Agents: the people who answer.")
token_app = typer.Typer(no_args_is_help=True, help="API tokens.")
inbox_app = typer.Typer(no_args_is_help=True, help="Inboxes: the configured channels.")
import_app = typer.Typer(no_args_is_help=True, help="File old mail; nothing of it is acknowledged.")
export_app = typer.Typer(no_args_is_help=True, help="Conversations, contacts and reports into a file.")
sla_app = typer.Typer(no_args_is_help=True, help="Promises.")
audit_app = typer.Typer(no_args_is_help=True, help="Who did what to what, and whether that was changed.")
keys_app = typer.Typer(no_args_is_help=True, help="The installation's keys.")
for name, sub in (
    ("agent", agent_app),
    ("token", token_app),
    ("inbox", inbox_app),
    ("sla", sla_app),
    ("import", import_app),
    ("export", export_app),
    ("keys", keys_app),
    ("audit", audit_app),
):
    app.add_typer(sub, name=name)

Data = Annotated[
    Path | None, typer.Option("--data", help="The data folder [env: HELPDESK_DATA; default: helpdesk-data]")
]
Host = Annotated[str, typer.Option(help="The address to listen on")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on")]
InboxId = Annotated[str, typer.Argument(metavar="ID", help="The inbox's id")]

IntoInbox = Annotated[
    str | None, typer.Option(metavar="ID", help="The inbox to file into; may be left out where there is only one")
]
Resolved = Annotated[bool, typer.Option("--resolved", help="Conversations that begin with it are resolved, not open")]

Out = Annotated[Path, typer.Option(dir_okay=False, help="The file, which is there when it is whole")]
Written = Annotated[str, typer.Option("--format", help="jsonl, one JSON object a line, or csv")]
Since = Annotated[str | None, typer.Option(metavar="DAY", help="Made on or after YYYY-MM-DD, in UTC")]
Until = Annotated[str | None, typer.Option(metavar="DAY", help="Made before YYYY-MM-DD, in UTC")]
OfInbox = Annotated[str | None, typer.Option(metavar="ID", help="Where the contact wrote last")]
Bom = Annotated[bool, typer.Option(help="In CSV, a byte order mark, without which Excel shows Chinese wrongly")]


def main() -> None:
    """The entry point: an error of ours is one clear line and exit code 1."""
    gc.disable()
    try:
        app()
    except HelpdeskError as error:
        sys.stderr.write(f"error: {error.detail}\n")
        sys.exit(1)


def _settings(data: Path | None, **given: Any) -> Settings:
    from helpdesk import config

    return config.load(data=data, **given)


def _run(make: Callable[[Settings], Coroutine[Any, Any, list[str]]], settings: Settings) -> None:
    """Run a short command and print its lines."""
    for line in _done(make(settings)):
        sys.stdout.write(line + "\n")


def _done(work: Coroutine[Any, Any, T]) -> T:
    """What a short command comes to. Everything is imported by now, and what becomes garbage is looked for again."""
    from helpdesk import logs

    logs.configure("error")
    gc.freeze()
    gc.enable()
    return asyncio.run(work)


@app.command()
def up(
    data: Data = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    smtp_port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the built-in SMTP door")] = 2525,
    demo: Annotated[bool, typer.Option("--demo", help="Add an inbox, a login, a token and conversations")] = False,
) -> None:
    """Run everything in one process, with nothing to install: API, workers, the SMTP door."""
    from helpdesk.commands import serve

    settings = serve.embedded_defaults(_settings(data), host=host, port=port, smtp_port=smtp_port)
    serve.run(serve.up(settings, host=host, port=port, with_demo=demo))


@app.command()
def api(data: Data = None, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run the HTTP side of a fleet."""
    from helpdesk.commands import serve

    serve.run(serve.api(_settings(data), host=host, port=port))


@app.command()
def worker(data: Data = None) -> None:
    """Run the workers of a fleet: receiving, filing, sending, the SMTP and LMTP doors."""
    from helpdesk.commands import serve

    serve.run(serve.worker(_settings(data)))


@app.command()
def migrate(data: Data = None) -> None:
    """Bring the database up to date."""
    from helpdesk.commands import setup

    _run(setup.migrate_database, _settings(data))


@app.command()
def doctor(data: Data = None) -> None:
    """Say what is configured, reachable and behind; exit 1 when something is wrong."""
    from helpdesk.commands import diagnose

    lines, well = _done(diagnose.doctor(_settings(data)))
    for line in lines:
        sys.stdout.write(line + "\n")
    if not well:
        sys.exit(1)


@agent_app.command("create")
def agent_create(
    email: Annotated[str, typer.Option(help="The login")],
    name: Annotated[str, typer.Option(help="The name that customers see")],
    role: Annotated[str, typer.Option(help="agent, supervisor or admin")] = "agent",
    locale: Annotated[str, typer.Option(help="en, zh-CN or zh-TW")] = "en",
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin")] = False,
    data: Data = None,
) -> None:
    """Create an agent and print the id. Without a password the agent can only use tokens."""
    from helpdesk.commands import setup

    password = sys.stdin.readline().rstrip("\n") if password_stdin else None
    _run(
        lambda s: setup.create_agent(s, email=email, name=name, role=role, locale=locale, password=password),
        _settings(data),
    )


@token_app.command("create")
def token_create(
    agent: Annotated[str, typer.Option(help="The agent's e-mail address")],
    name: Annotated[str, typer.Option(help="What the token is for")],
    kind: Annotated[str, typer.Option(help="agent, or bot for an integration")] = "agent",
    scope: Annotated[list[str] | None, typer.Option(help="A scope; repeatable; default: all")] = None,
    data: Data = None,
) -> None:
    """Create an API token and print it, alone, once."""
    from helpdesk.commands import setup

    _run(lambda s: setup.create_token(s, agent=agent, name=name, kind=kind, scopes=scope), _settings(data))


@inbox_app.command("add")
def inbox_add(
    channel: Annotated[str, typer.Argument(help="email, ...")],
    name: Annotated[str, typer.Option(help="The inbox's name")],
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="key=value|key=@FILE")] = None,
    set_stdin: Annotated[str | None, typer.Option("--set-stdin", metavar="KEY", help="Read KEY from stdin")] = None,
    data: Data = None,
) -> None:
    """Add an inbox and print its id, alone."""
    from helpdesk.commands import inboxes

    given = inboxes.read_settings(set_ or [], set_stdin, sys.stdin)
    _run(lambda s: inboxes.add(s, channel=channel, name=name, given=given), _settings(data))


@inbox_app.command("schema")
def inbox_schema(channel: Annotated[str, typer.Argument()]) -> None:
    """Print the JSON schema of a channel's settings."""
    from helpdesk.commands import inboxes

    sys.stdout.write(inboxes.schema(channel) + "\n")


@inbox_app.command("list")
def inbox_list(data: Data = None) -> None:
    """List the inboxes: id, channel, state, address and name."""
    from helpdesk.commands import inboxes

    _run(inboxes.listing, _settings(data))


@inbox_app.command("check")
def inbox_check(
    inbox: InboxId,
    send: Annotated[bool, typer.Option("--send", help="Send a mail to the inbox itself and wait for it")] = False,
    data: Data = None,
) -> None:
    """Try everything that an inbox's settings promise."""
    from helpdesk.commands import inboxes

    lines, well = _done(inboxes.check(_settings(data), inbox, send=send))
    for line in lines:
        sys.stdout.write(line + "\n")
    if not well:
        sys.exit(1)


@inbox_app.command("authorize")
def inbox_authorize(inbox: InboxId, data: Data = None) -> None:
    """Fetch the first OAuth 2 grant, by device code or in the browser."""
    from helpdesk.commands import inboxes

    _run(lambda s: inboxes.authorize(s, inbox, tell=_tell), _settings(data))


@inbox_app.command("pause")
def inbox_pause(inbox: InboxId, data: Data = None) -> None:
    """Stop receiving and sending; what waits, waits."""
    from helpdesk.commands import inboxes

    _run(lambda s: inboxes.set_state(s, inbox, state="paused"), _settings(data))


@inbox_app.command("resume")
def inbox_resume(inbox: InboxId, data: Data = None) -> None:
    """Go on receiving and sending."""
    from helpdesk.commands import inboxes

    _run(lambda s: inboxes.set_state(s, inbox, state="active"), _settings(data))


@inbox_app.command("backfill")
def inbox_backfill(
    inbox: InboxId,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Only what came on or after YYYY-MM-DD")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count")] = False,
    data: Data = None,
) -> None:
    """File older mail of the mailbox, without acknowledging it."""
    from helpdesk.commands import inboxes

    _run(lambda s: inboxes.backfill(s, inbox, since=since, dry_run=dry_run), _settings(data))


@sla_app.command("simulate")
def sla_simulate(
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back to go")] = 30,
    policy: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Try this policy alone, be it on or off")
    ] = None,
    policy_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Try a policy from a JSON file, as the API takes it"),
    ] = None,
    business_hours: Annotated[str | None, typer.Option(metavar="ID|NAME", help="Go by this calendar")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
    limit: Annotated[int, typer.Option(min=0, max=1000, help="How many of the worst to show")] = 20,
    data: Data = None,
) -> None:
    """Replay what happened, and show what would have been broken. Nothing is written."""
    from helpdesk.commands import simulate

    if policy is not None and policy_file is not None:
        raise typer.BadParameter("give either --policy or --policy-file")
    what: Any = {"days": days, "policy": policy, "policy_file": policy_file, "hours": business_hours, "limit": limit}
    how: Any = {"as_json": as_json, "terminal": sys.stdout.isatty()}
    _run(lambda s: simulate.run(s, **what, **how), _settings(data))


@import_app.command("mbox")
def import_mbox(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    inbox: IntoInbox = None,
    resolved: Resolved = False,
    data: Data = None,
) -> None:
    """File the mails of an mbox file."""
    from helpdesk.commands import importing

    _run(lambda s: importing.mbox(s, path, inbox=inbox, resolved=resolved), _settings(data))


@import_app.command("maildir")
def import_maildir(
    path: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    inbox: IntoInbox = None,
    folder: Annotated[
        list[str] | None, typer.Option(help="A folder, INBOX or Name; repeatable; default: all but Drafts, Sent, Trash")
    ] = None,
    resolved: Resolved = False,
    data: Data = None,
) -> None:
    """File the mails of a Maildir and of the folders in it."""
    from helpdesk.commands import importing

    how: Any = {"folders": folder or (), "resolved": resolved}
    _run(lambda s: importing.maildir(s, path, inbox=inbox, **how), _settings(data))


def _given(out: Path, form: str, since: str | None, until: str | None, inbox: str | None, bom: bool) -> Any:
    from helpdesk.api.schemas.exports import Form
    from helpdesk.commands.exporting import Given

    if form not in list(Form):
        raise typer.BadParameter(f"use one of {', '.join(Form)}", param_hint="--format")
    return Given(out, Form(form), since, until, inbox, bom)


@export_app.command("conversations")
def export_conversations(
    out: Out,
    form: Written = "jsonl",
    messages: Annotated[bool, typer.Option("--messages", help="Each one's messages behind it; in jsonl")] = False,
    since: Since = None,
    until: Until = None,
    inbox: OfInbox = None,
    bom: Bom = True,
    data: Data = None,
) -> None:
    """Write all conversations to a file, but for spam."""
    from helpdesk.commands import exporting

    given = _given(out, form, since, until, inbox, bom)
    _run(lambda s: exporting.conversations(s, given, messages=messages), _settings(data))


@export_app.command("contacts")
def export_contacts(
    out: Out, form: Written = "jsonl", since: Since = None, until: Until = None, bom: Bom = True, data: Data = None
) -> None:
    """Write all contacts, with every handle, to a file."""
    from helpdesk.commands import exporting

    given = _given(out, form, since, until, None, bom)
    _run(lambda s: exporting.contacts(s, given), _settings(data))


@export_app.command("reports")
def export_reports(
    out: Out,
    report: Annotated[str, typer.Option(help="volume, response-times, sla or ratings")] = "volume",
    group_by: Annotated[str | None, typer.Option(help="day, week, channel, inbox, team, agent, category …")] = None,
    zone: Annotated[str, typer.Option(help="By whose clock days and hours are")] = "UTC",
    form: Written = "csv",
    since: Since = None,
    until: Until = None,
    inbox: OfInbox = None,
    bom: Bom = True,
    data: Data = None,
) -> None:
    """Write a report of the last 28 days, or of those that are given, to a file."""
    from helpdesk.commands import exporting

    given = _given(out, form, since, until, inbox, bom)
    _run(lambda s: exporting.report(s, given, name=report, group_by=group_by, zone=zone), _settings(data))


@keys_app.command("rotate")
def keys_rotate(data: Data = None) -> None:
    """Seal every inbox's and contact's key with the current master key; the older ones then only read reply tokens."""
    from helpdesk.commands import setup

    _run(setup.rotate_keys, _settings(data))


@audit_app.command("verify")
def audit_verify(
    since: Annotated[str | None, typer.Option("--from", metavar="DAY", help="Begin at the anchor of this day")] = None,
    anchor: Annotated[str | None, typer.Option(metavar="DIGEST", help="That anchor's digest, as it was logged")] = None,
    data: Data = None,
) -> None:
    """Compute the audit's chain anew and hold it against what is stored; exit 1 naming the first broken position."""
    from helpdesk.commands import auditing

    if (since is None) != (anchor is None):
        raise typer.BadParameter("give --from and --anchor together")
    line, whole = _done(auditing.verify(_settings(data), day=since, digest=anchor))
    sys.stdout.write(line + "\n")
    if not whole:
        sys.exit(1)


@audit_app.command("export")
def audit_export(data: Data = None) -> None:
    """Print the audit as JSON lines, in the order of its chain, each with the digest that it has there."""
    from helpdesk.commands import auditing

    _done(auditing.export(_settings(data), tell=lambda line: sys.stdout.write(line + "\n")))


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
