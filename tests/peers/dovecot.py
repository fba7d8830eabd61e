"""A real Dovecot 2.3 on loopback, in a folder of its own, as whoever starts it.

    with Dovecot({"support": "secret"}) as server:
        server.deliver("support", b"Subject: ...")
        EmailConfig(receive="imap", imap_url=server.url("support", tls="starttls"), ca_file=server.ca_file, ...)

Plain, STARTTLS and implicit TLS are on two ports. `introspect` names an RFC 7662-like endpoint (GET with the bearer
token, answering `{"active": true, "email": user}`), and switches XOAUTH2 on. Mail is kept in Maildirs, so that tests
may look at it and do to it what other programs do.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import quote

from tests.peers.certificates import Authority

BINARY = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
Tls = Literal["none", "starttls", "implicit"]
_SCHEMES = {"none": "imap", "starttls": "imap+starttls", "implicit": "imaps"}

_CONFIG = """
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/dovecot.log
protocols = imap
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 0
first_valid_gid = 0
disable_plaintext_auth = no
auth_failure_delay = 0
auth_mechanisms = plain login{mechanisms}
auth_username_format = %Lu
mail_location = maildir:{base}/mail/%u/Maildir
mailbox_list_index = yes
mail_max_userip_connections = 200
mailbox_idle_check_interval = 1 secs
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
shutdown_clients = yes
{extra}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {base}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={base}/mail/%u
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service stats {{
  chroot =
}}
"""

_OAUTH = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {base}/oauth2.conf
}}
"""


_INTROSPECTION = """
introspection_mode = auth
introspection_url = {url}
force_introspection = yes
username_attribute = email
active_attribute = active
active_value = true
"""


class Dovecot:
    """One server. `users` maps names to passwords. `settings` are further lines of its configuration."""

    def __init__(self, users: Mapping[str, str], *, introspect: str = "", settings: str = "") -> None:
        if BINARY is None:
            raise FileNotFoundError("dovecot is not installed")
        self.users = dict(users)
        self.base = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.base.chmod(0o755)
        self._serial = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        # Root may not own mail, so it lends the folder to the accounts that the package made; anyone else is himself.
        root = os.getuid() == 0
        mail = pwd.getpwnam("dovecot") if root else pwd.getpwuid(os.getuid())
        self._uid, self._gid = mail.pw_uid, mail.pw_gid
        authority = Authority(self.base)
        self.ca_file = str(authority.ca_file)
        cert, key = authority.issue("localhost", "127.0.0.1")
        self.ports: dict[str, int] = {"plain": _free_port(), "tls": _free_port()}
        if introspect:
            self._write("oauth2.conf", _INTROSPECTION.format(url=introspect))
        self._write("users", "".join(f"{name}:{{PLAIN}}{word}\n" for name, word in self.users.items()))
        self._write(
            "dovecot.conf",
            _CONFIG.format(
                base=self.base,
                internal=mail.pw_name,
                internal_group=grp.getgrgid(self._gid).gr_name,
                login="dovenull" if root else mail.pw_name,
                uid=self._uid,
                gid=self._gid,
                cert=cert,
                key=key,
                mechanisms=" xoauth2 oauthbearer" if introspect else "",
                extra=(_OAUTH.format(base=self.base) if introspect else "") + settings,
                **self.ports,
            ),
        )
        (self.base / "mail").mkdir()
        os.chown(self.base / "mail", self._uid, self._gid)
        for name in self.users:
            self.create(name)

    def _write(self, name: str, text: str) -> None:
        (self.base / name).write_text(text, encoding="utf-8")

    def __enter__(self) -> Dovecot:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start, or start again on the same ports and mail. Returns when it greets."""
        command = [str(BINARY), "-F", "-c", str(self.base / "dovecot.conf")]
        with (self.base / "output.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports["plain"]), 1) as sock:
                sock.settimeout(5)
                if sock.recv(64).startswith(b"* OK"):
                    return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"dovecot did not start:\n{self.log()}")

    def stop(self) -> None:
        """End the server and all its sessions at once, keeping mail and ports."""
        if self._process is None:
            return
        master = self._process
        master.terminate()
        with suppress(subprocess.TimeoutExpired):
            master.wait(3)
        # Sessions outlive the master for a while, which is kind to users and not what a test calls a stopped server.
        # They are in the process group that the master leads, and nobody else is.
        with suppress(ProcessLookupError):
            os.killpg(master.pid, signal.SIGKILL)
        master.wait(5)
        self._process = None

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def url(self, user: str, *, tls: Tls = "none", mailbox: str = "INBOX", password: str | None = None) -> str:
        """An `imap_url` with the login inside, as `EmailConfig` takes it."""
        word = self.users[user] if password is None else password
        port = self.ports["tls" if tls == "implicit" else "plain"]
        return f"{_SCHEMES[tls]}://{quote(user, safe='')}:{quote(word, safe='')}@localhost:{port}/{quote(mailbox)}"

    def folder(self, user: str, mailbox: str = "INBOX") -> Path:
        """The Maildir of a mailbox (Maildir++: `INBOX` is the root, others are `.Name` in modified UTF-7)."""
        root = self.base / "mail" / user / "Maildir"
        return root if mailbox == "INBOX" else root / f".{mailbox}"

    def create(self, user: str, mailbox: str = "INBOX") -> None:
        """Make the Maildir, owned by the one who reads it."""
        made = self.folder(user, mailbox)
        for path in (made / "cur", made / "new", made / "tmp"):
            path.mkdir(parents=True, exist_ok=True)
        for path in (made.parent, made, *made.iterdir()):
            os.chown(path, self._uid, self._gid)

    def deliver(self, user: str, body: bytes, *, mailbox: str = "INBOX", at: datetime | None = None) -> None:
        """Put one message into a mailbox as a delivery agent does; `at` becomes its INTERNALDATE."""
        home = self.folder(user, mailbox)
        name = f"{int(time.time())}.M{next(self._serial):08d}P{os.getpid()}.loopback"
        draft = home / "tmp" / name
        draft.write_bytes(body)
        os.chown(draft, self._uid, self._gid)
        if at is not None:
            os.utime(draft, (at.timestamp(), at.timestamp()))
        draft.rename(home / "new" / name)

    def files(self, user: str, mailbox: str = "INBOX") -> list[Path]:
        """The messages as files, oldest name first. A flag letter `S` after `:2,` is \\Seen."""
        home = self.folder(user, mailbox)
        return sorted([*(home / "new").iterdir(), *(home / "cur").iterdir()], key=lambda path: path.name)

    def forget_uids(self, user: str, mailbox: str = "INBOX") -> None:
        """Lose the list of UIDs, as a restore from a backup does: the mailbox gets a new UIDVALIDITY."""
        home = self.folder(user, mailbox)
        for path in home.glob("dovecot*"):
            path.unlink(missing_ok=True)

    def remove(self, user: str, mailbox: str) -> None:
        shutil.rmtree(self.folder(user, mailbox))

    def log(self) -> str:
        return "".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in (self.base / "output.log", self.base / "dovecot.log")
            if path.exists()
        )


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
