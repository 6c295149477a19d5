"""A private Redis that keeps what it acknowledged: killed for real, back on the same port and data.

Every write is in its append-only file, synced, before it is answered: what an engine lost
with it, the engine lost.
"""

from __future__ import annotations

import secrets
import shutil
import socket

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.deadline import Deadline
from harness.process import Address, Exit, Site, WorkerSpec
from harness.runtime import RuntimeUnavailableError
from harness.service import Server
from runtimes.support.account import account


PROBE_S = 1.0
SERVES = b"+OK\r\n+PONG\r\n"
SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "save": '""',
    "maxmemory-policy": "noeviction",
    # Its title would overwrite the mark by which a sweep finds what a dead harness left.
    "set-proc-title": "no",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """A Redis of the site's own; made by ``redis``.

    It serves at ``address`` and on the Unix socket ``socket``, both with ``password``.
    """

    name: str
    address: Address
    socket: Path
    password: str = field(repr=False)
    server: Server

    @property
    def url(self) -> str:
        """Return its URL, over TCP."""
        return f"redis://:{self.password}@{self.address}"

    @property
    def socket_url(self) -> str:
        """Return its URL over the Unix socket, which no network stands between."""
        return f"unix://:{self.password}@{self.socket}"

    def alive(self) -> bool:
        """Say whether the process lives."""
        return self.server.alive()

    def kill(self) -> Exit:
        """Kill it and return once it was reaped."""
        return self.server.kill()

    def restart(self) -> None:
        """Start it again on the same port and data."""
        self.server.restart()

    def ready(self, deadline: Deadline) -> None:
        """Return once it serves: its file is read by then.

        Raises:
            ProcessError: it died, or was not ready in time; with its log's tail.

        """
        self.server.ready(deadline)


@contextmanager
def redis(site: Site, name: str = "redis") -> Iterator[Redis]:
    """Start a Redis in a folder of its own; call ``ready`` before use.

    Raises:
        RuntimeUnavailableError: there is no Redis on this machine.

    """
    program = shutil.which("redis-server")
    if program is None:
        msg = "redis-server is not on this machine; run: apt-get install redis-server"
        raise RuntimeUnavailableError(msg)
    owner, folder = account("redis"), site.state_dir(name)
    address, password = site.reserve(), secrets.token_hex(16)
    path, config = folder / "redis.sock", folder / "redis.conf"
    mine = {
        "bind": address.host,
        "port": str(address.port),
        "unixsocket": f'"{path}"',
        "dir": f'"{folder}"',
        "requirepass": password,
    }
    lines = [f"{key} {value}" for key, value in (SETTINGS | mine).items()]
    config.write_text("\n".join(lines) + "\n")
    for each in (folder, config):
        owner.own(each)
    argv = owner.argv([program, str(config)])
    spec = WorkerSpec(argv=argv, cwd=folder, ready=False)
    with Server(name, site.runner, spec, lambda: _serves(address, password)) as server:
        yield Redis(name=name, address=address, socket=path, password=password, server=server)


def _serves(address: Address, password: str) -> bool:
    try:
        with socket.create_connection((address.host, address.port), PROBE_S) as probe:
            probe.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            said = probe.makefile("rb")
            return said.readline() + said.readline() == SERVES
    except OSError:
        return False
