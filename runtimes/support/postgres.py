"""A private PostgreSQL: killed for real, back on the same port and data.

Engines that keep their state in PostgreSQL are only as durable as it is, so it stands in the
sweep like a server of theirs.  Its processes are many: each backend leads a session of its
own, which no kill of the postmaster's group reaches, and a postmaster does not start while
backends of a former one are at its data.  So a kill ends them all.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import struct

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from harness.deadline import Deadline, wait_until
from harness.process import Address, Exit, Site, WorkerSpec
from harness.runtime import RuntimeUnavailableError
from harness.service import STOP_GRACE_S, Server
from runtimes.support.account import Account, account
from runtimes.support.command import run


DEBIAN = Path("/usr/lib/postgresql/15/bin")
USER = "bakeoff"
MOST_CONNECTIONS = 400
INITDB_S, GONE_S = 120.0, 30.0
PROBE_S = 1.0
PROTOCOL = 3 << 16
LETS_IN = b"R"  # the answer to a start-up message: authenticate; else it is an error
SETTINGS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": str(MOST_CONNECTIONS),
    # In the data folder, which is removed; elsewhere a killed one would leave it for ever.
    "dynamic_shared_memory_type": "mmap",
}
# What a killed process wrote is the kernel's, and safe: only a power cut tells the difference.
CARELESS = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """A PostgreSQL of the site's own; made by ``postgres``.

    It serves at ``address`` with ``password``, and in the folder ``sockets`` without one:
    nobody but root and the account that it runs as may enter that.
    """

    name: str
    address: Address
    data: Path
    sockets: Path
    programs: Path
    site: Site
    password: str = field(repr=False)
    server: Server

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, over TCP."""
        return f"postgres://{USER}:{self.password}@{self.address}/{database}?sslmode=disable"

    def socket_url(self, database: str = "postgres") -> str:
        """Return the URL of a database over the Unix socket, which no network stands between."""
        where = f"host={quote(str(self.sockets), safe='')}&port={self.address.port}"
        return f"postgres://{USER}@/{database}?{where}&sslmode=disable"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Carry out a statement and return its rows, as ``psql`` prints them bare.

        Raises:
            ProcessError: the server refused it, or is away; with what was said.

        """
        argv = [str(self.programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", USER]
        argv += ["-h", str(self.sockets), "-p", str(self.address.port), "-d", database]
        return run(self.site, f"{self.name}-psql", [*argv, "-c", statement]).strip()

    def create(self, database: str) -> None:
        """Create an empty database.

        Raises:
            ProcessError: there is one of that name, or the server is away.

        """
        self.sql(f'CREATE DATABASE "{database}"')

    def alive(self) -> bool:
        """Say whether the postmaster lives."""
        return self.server.alive()

    def kill(self) -> Exit:
        """Kill the postmaster and all its backends; return once none is left."""
        ended = self.server.kill()
        self._end_strays()
        return ended

    def restart(self) -> None:
        """Start it again on the same port and data, whoever killed it."""
        self._end_strays()
        self.server.restart()

    def ready(self, deadline: Deadline) -> None:
        """Return once it serves.

        Raises:
            ProcessError: it died, or was not ready in time; with its log's tail.

        """
        self.server.ready(deadline)

    def stop(self) -> None:
        """End it in good order, whoever is connected; by force after a grace."""
        if self.alive():
            # Its SIGTERM waits for every client to leave; SIGINT does not.
            os.kill(self.server.process.pid, signal.SIGINT)
            self.server.process.wait(STOP_GRACE_S)
        self.kill()

    def _end_strays(self) -> None:
        for pid in self._strays():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self._strays(), Deadline.after(GONE_S), f"no {self.name} is left")

    def _strays(self) -> list[int]:
        """Return whoever works in the data folder, as each of its processes does and no other."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cwd"):
            with suppress(OSError):  # it ended meanwhile, or is another user's
                if entry.readlink() == self.data:
                    found.append(int(entry.parent.name))
        return found


@contextmanager
def postgres(site: Site, name: str = "postgres", *, durable: bool = True) -> Iterator[Postgres]:
    """Make a cluster and start it; call ``ready`` before use.

    ``durable`` off skips what only a power cut would show, and is faster.

    Raises:
        RuntimeUnavailableError: there is no PostgreSQL on this machine.
        ProcessError: it cannot make its data folder.

    """
    programs, owner = _programs(), account("postgres")
    folder = site.state_dir(name)
    owner.own(folder)
    address, password = site.reserve(), secrets.token_hex(16)
    data = (folder / "data").resolve()
    _initialise(site, name, programs, owner, data, password)
    settings = {**SETTINGS, **({} if durable else CARELESS)}
    argv = [str(programs / "postgres"), "-D", str(data), "-k", str(folder)]
    argv += ["-h", address.host, "-p", str(address.port)]
    argv += [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    spec = WorkerSpec(argv=owner.argv(argv), cwd=folder, ready=False)
    with Server(name, site.runner, spec, lambda: _accepts(address)) as server:
        started = Postgres(
            name=name,
            address=address,
            data=data,
            sockets=folder,
            programs=programs,
            site=site,
            password=password,
            server=server,
        )
        try:
            yield started
        finally:
            started.stop()


def _programs() -> Path:
    """Return the folder of its programs: the tested version's, or the one on the PATH."""
    on_path = shutil.which("postgres")
    if (DEBIAN / "postgres").is_file():
        return DEBIAN
    if on_path is None:
        msg = "PostgreSQL is not on this machine; run: apt-get install postgresql-15"
        raise RuntimeUnavailableError(msg)
    return Path(on_path).resolve().parent


def _initialise(
    site: Site, name: str, programs: Path, owner: Account, data: Path, password: str
) -> None:
    secret = data.with_name("password")
    secret.write_text(password)
    owner.own(secret)
    argv = [str(programs / "initdb"), "-D", str(data), "-U", USER, f"--pwfile={secret}"]
    argv += ["--auth-local=trust", "--auth-host=scram-sha-256"]
    argv += ["--locale=C", "--encoding=UTF8", "--no-sync"]
    run(site, f"{name}-initdb", owner.argv(argv), cwd=data.parent, timeout_s=INITDB_S)
    secret.unlink()


def _accepts(address: Address) -> bool:
    """Say whether it lets clients in: it opens its port before it has recovered."""
    words = f"user\0{USER}\0database\0postgres\0\0".encode()
    hello = struct.pack("!ii", 8 + len(words), PROTOCOL) + words
    try:
        with socket.create_connection((address.host, address.port), PROBE_S) as probe:
            probe.sendall(hello)
            return probe.recv(1) == LETS_IN
    except OSError:
        return False
