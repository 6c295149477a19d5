"""How the server of a sweep is started: its database, its keys, its token, and itself.

It binds most of its ports on all interfaces and has no setting against it, so it runs in a
network of its own where we may make one; only links lead in.
"""

from __future__ import annotations

import re

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx

from harness.deadline import Deadline
from harness.engines import Found
from harness.process import Address, Exit, ProcessError, Service, Site, WorkerSpec
from harness.service import Server
from runtimes.hatchet.server import ADMIN, MIGRATE
from runtimes.hatchet.settings import Timers
from runtimes.hatchet.stalls import Stalls
from runtimes.support.command import run
from runtimes.support.confine import Place, confined
from runtimes.support.postgres import postgres


DATABASE = "hatchet"
READY_S = 60.0
PROBE_S = 1.0
TENANT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TOKEN = re.compile(r"^ey[\w-]+\.[\w-]+\.[\w-]+$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A server that serves: its parts, and the ways to it.

    ``reach`` makes a link of a name to its gRPC port, ``rest`` is the address of its API.
    ``stalled`` returns which of some tasks nothing will move; it can tell of a server of ours.
    """

    servers: Sequence[Service]
    databases: Sequence[Service]
    reach: Callable[[str], Address]
    rest: Address
    token: str
    stalled: Callable[[Collection[str]], frozenset[str]] = frozenset().intersection


@dataclass(slots=True)
class Leaning:
    """A server that cannot start before its database serves; ``logs`` has that of each start."""

    name: str
    server: Server
    database: Service
    logs: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Note the log of the first start."""
        self.logs.append(self.server.process.log)

    def alive(self) -> bool:
        """Say whether the process lives."""
        return self.server.alive()

    def kill(self) -> Exit:
        """Kill it and return once it was reaped."""
        return self.server.kill()

    def restart(self) -> None:
        """Start it again on the same ports, once the database is back."""
        self.database.ready(Deadline.after(READY_S))
        self.server.restart()
        self.logs.append(self.server.process.log)

    def ready(self, deadline: Deadline) -> None:
        """Return once it serves.

        Raises:
            ProcessError: it died, or was not ready in time; with its log's tail.

        """
        self.server.ready(deadline)


@contextmanager
def started(site: Site, found: Found, timers: Timers) -> Iterator[Started]:
    """Start PostgreSQL and the server; a database of its own, keys and a token are made first.

    Raises:
        RuntimeUnavailableError: there is no PostgreSQL on this machine.
        ProcessError: a part did not start or a preparation failed; with its last words.

    """
    folder = site.state_dir("hatchet")
    with postgres(site, "hatchet-postgres") as store, confined(site, "hatchet-place") as place:
        store.ready(Deadline.after(READY_S))
        store.create(DATABASE)
        grpc, rest = place.reserve(), place.reserve()
        env = environment(place, grpc, rest, store.socket_url(DATABASE), folder, timers)
        token = prepared(site, found, folder, env)
        way = place.expose("hatchet-rest", rest).address
        argv = place.argv([str(found.path), "--config", str(folder)])
        spec = WorkerSpec(argv=argv, env=env, cwd=folder, ready=False)
        with Server("hatchet", site.runner, spec, lambda: serves(way)) as server:
            leaning = Leaning("hatchet", server, store)
            leaning.ready(Deadline.after(READY_S))
            stalls = Stalls(logs=lambda: leaning.logs, sql=partial(store.sql, database=DATABASE))
            yield Started(
                servers=[store, leaning],
                databases=[store],
                reach=lambda name: place.expose(name, grpc).address,
                rest=way,
                token=token,
                stalled=stalls.among,
            )


def prepared(site: Site, found: Found, folder: Path, env: dict[str, str]) -> str:
    """Make the tables, the keys and the tenant; return a token for it."""
    (folder / "files").mkdir()
    (folder / "files" / "index.html").touch()  # it does not start without
    run(site, "hatchet-migrate", [str(found.companion(MIGRATE))], env=env, cwd=folder)
    admin = str(found.companion(ADMIN))
    argv = [admin, "quickstart", "--skip", "certs", "--generated-config-dir", str(folder)]
    tenant = said(TENANT, "tenant", run(site, "hatchet-keys", argv, env=env, cwd=folder))
    argv = [admin, "token", "create", "--config", str(folder), "--tenant-id", tenant]
    return said(TOKEN, "token", run(site, "hatchet-token", argv, env=env, cwd=folder))


def said(what: re.Pattern[str], name: str, text: str) -> str:
    """Return what a command printed, in its log the last of the kind.

    A sweep that goes on adds to the logs of the one before.

    Raises:
        ProcessError: it printed nothing of the kind.

    """
    found = what.findall(text)
    if not found:
        msg = f"hatchet-admin was to print a {name}; seen {text[-500:]!r}; try its pinned version"
        raise ProcessError(msg)
    return str(found[-1])


def environment(
    place: Place, grpc: Address, rest: Address, database: str, folder: Path, timers: Timers
) -> dict[str, str]:
    """Return the server's settings; what is not here is its default."""
    url = f"http://{rest}"
    return {
        "DATABASE_URL": database,
        "SERVER_MSGQUEUE_KIND": "postgres",
        "SERVER_PORT": str(rest.port),
        "SERVER_URL": url,
        "SERVER_GRPC_PORT": str(grpc.port),
        "SERVER_GRPC_BIND_ADDRESS": grpc.host,
        "SERVER_GRPC_BROADCAST_ADDRESS": str(grpc),
        "SERVER_INTERNAL_CLIENT_INTERNAL_GRPC_BROADCAST_ADDRESS": str(grpc),
        "SERVER_GRPC_INSECURE": "t",
        "SERVER_AUTH_COOKIE_DOMAIN": "localhost",
        "SERVER_AUTH_COOKIE_INSECURE": "t",
        "SERVER_AUTH_SET_EMAIL_VERIFIED": "t",
        "SERVER_HEALTHCHECK_PORT": str(place.reserve().port),
        # It would ask a host of the vendor's whether this version has known flaws.
        "SERVER_SECURITY_CHECK_ENABLED": "false",
        "SERVER_LOGGER_LEVEL": "warn",
        "SERVER_OPERATIONS_POLL_INTERVAL": str(timers.olap_poll_s),
        "LITE_STATIC_ASSET_DIR": str(folder / "files"),
        "LITE_FRONTEND_PORT": str(place.reserve().port),
        "LITE_RUNTIME_PORT": str(place.reserve().port),
    }


def serves(rest: Address) -> bool:
    """Say whether the API answers; it shares its process with the engine."""
    try:
        answer = httpx.get(f"http://{rest}/api/ready", timeout=PROBE_S, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == HTTPStatus.OK
