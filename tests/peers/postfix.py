"""A real Postfix on loopback, with queue, configuration and log in a folder of its own.

    with Postfix(next_hop="lmtp:inet:127.0.0.1:2424") as relay:      # or smtp:[127.0.0.1]:2525
        smtplib.SMTP("127.0.0.1", relay.port).sendmail(...)

It takes mail for anybody from loopback and hands all of it to `next_hop`, trying again every second or two. Postfix
starts as root only: elsewhere `missing()` says so, and tests skip with that reason.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

BINARY = shutil.which("postfix", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

_MAIN = """
compatibility_level = 3.6
queue_directory = {base}/spool
data_directory = {base}/data
maillog_file = {base}/mail.log
maillog_file_prefixes = {base}
myhostname = relay.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
smtp_host_lookup = native
disable_dns_lookups = yes
default_transport = {next_hop}
relay_transport = {next_hop}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = none
smtp_tls_security_level = none
smtputf8_enable = yes
message_size_limit = 60000000
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
transport_retry_time = 1s
{extra}
"""

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix       n - n 60  1 pickup
cleanup   unix       n - n -   0 cleanup
qmgr      unix       n - n 300 1 qmgr
tlsmgr    unix       - - n -   1 tlsmgr
rewrite   unix       - - n -   - trivial-rewrite
bounce    unix       - - n -   0 bounce
defer     unix       - - n -   0 bounce
trace     unix       - - n -   0 bounce
verify    unix       - - n -   1 verify
flush     unix       n - n -   0 flush
proxymap  unix       - - n -   - proxymap
smtp      unix       - - n -   - smtp
relay     unix       - - n -   - smtp
lmtp      unix       - - n -   - lmtp
error     unix       - - n -   - error
retry     unix       - - n -   - error
discard   unix       - - n -   - discard
anvil     unix       - - n -   1 anvil
scache    unix       - - n -   1 scache
postlog   unix-dgram n - n -   1 postlogd
"""


def missing() -> str:
    """Why there can be no Postfix here; empty when there can."""
    if BINARY is None:
        return "postfix is not installed"
    return "" if os.getuid() == 0 else "postfix starts as root only"


class Postfix:
    """One relay. `settings` are further lines of `main.cf`."""

    def __init__(self, *, next_hop: str, settings: str = "") -> None:
        if missing():
            raise FileNotFoundError(missing())
        self.base = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.base.chmod(0o755)
        self.port = _free_port()
        for name in ("spool", "data", "etc"):
            (self.base / name).mkdir(mode=0o755)
        os.chown(self.base / "data", pwd.getpwnam("postfix").pw_uid, -1)
        main = _MAIN.format(base=self.base, next_hop=next_hop, extra=settings)
        (self.base / "etc" / "main.cf").write_text(main, encoding="ascii")
        (self.base / "etc" / "master.cf").write_text(_MASTER.format(port=self.port), encoding="ascii")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Postfix:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        command = [str(BINARY), "-c", str(self.base / "etc"), "start-fg"]
        with (self.base / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                sock.settimeout(10)
                if sock.recv(64).startswith(b"220"):
                    return
            time.sleep(0.05)
        raise RuntimeError(f"postfix did not start:\n{self.log()}")

    def close(self) -> None:
        """End the master and everything it started, and forget the queue."""
        if self._process is not None:
            command = [str(BINARY), "-c", str(self.base / "etc"), "abort"]
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10, check=False)
            # Its daemons are in the group that the master leads, and nobody else is.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(5)
            self._process = None
        shutil.rmtree(self.base, ignore_errors=True)

    def log(self) -> str:
        paths = (self.base / "output.log", self.base / "mail.log")
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in paths if path.exists())


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
