"""How the server is run: where it keeps runs is the difference between its editions.

Run state, queue and timers are in Redis; PostgreSQL or SQLite hold functions and history.
Without a Redis of its own the server has one inside itself, which dies with it.
"""

from __future__ import annotations

import secrets
import threading

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx

from harness.deadline import Deadline
from harness.process import Address, Exit, Service, Site, WorkerSpec
from harness.service import Server
from runtimes.inngest.settings import Profile
from runtimes.support.confine import Place, confined
from runtimes.support.postgres import postgres
from runtimes.support.redis import redis


READY_S = 60.0


class Store(StrEnum):
    """Where an edition keeps its runs."""

    MEMORY = "dev"
    SQLITE = "sqlite"
    REDIS = "redis-pg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What server, workers and harness know each other by; the dev server asks for none."""

    event: str
    signing: str = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """Return them as the SDK reads them."""
        given = {"INNGEST_EVENT_KEY": self.event, "INNGEST_SIGNING_KEY": self.signing}
        return {name: value for name, value in given.items() if value}

    @property
    def headers(self) -> Mapping[str, str]:
        """Return what a request shows."""
        return {"Authorization": f"Bearer {self.signing}"} if self.signing else {}


class Resting:
    """A server that rests on databases, under a supervisor, as such servers are run.

    It starts once its databases serve.  When it loses one it finishes the steps in flight,
    however long they take, and ends by itself: whoever then finds it gone has it revived.
    """

    def __init__(self, server: Server, databases: Sequence[Service]) -> None:
        """Bind it to what it rests on."""
        self.name = server.name
        self._server, self._databases = server, databases
        self._killed, self._lock = False, threading.Lock()

    def alive(self) -> bool:
        """Say whether the process lives."""
        return self._server.alive()

    def kill(self) -> Exit:
        """Kill it and return once it was reaped."""
        self._killed = True
        return self._server.kill()

    def restart(self) -> None:
        """Start it again on the same ports, once its databases serve.

        Raises:
            ProcessError: a database was not ready in time; with its log's tail.

        """
        for database in self._databases:
            database.ready(Deadline.after(READY_S))
        self._server.restart()
        self._killed = False

    def revive(self) -> None:
        """Start it again if it has ended by itself.

        Raises:
            ProcessError: a database was not ready in time; with its log's tail.

        """
        with self._lock:
            if not self._killed and not self._server.alive():
                self.restart()

    def ready(self, deadline: Deadline) -> None:
        """Return once it serves.

        Raises:
            ProcessError: it died, or was not ready in time; with its log's tail.

        """
        self._server.ready(deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A server that serves: where, its interface, the door for those who dial, its databases."""

    place: Place
    api: Address
    gateway: Address | None
    keys: Keys
    servers: Sequence[Service] = ()
    databases: Sequence[Service] = ()
    revive: Callable[[], None] = lambda: None
    """Called whenever the server is not to be reached."""


@contextmanager
def started(site: Site, binary: Path, store: Store, profile: Profile) -> Iterator[Started]:
    """Start a server, and what it keeps its runs in, in a network of their own.

    Raises:
        RuntimeUnavailableError: a database is not on this machine.
        ProcessError: something did not start; with its log's tail.

    """
    keys = Keys(event="bakeoff")
    databases: tuple[Service, ...] = ()
    kept: list[str] = []
    folder = site.state_dir("server")
    with ExitStack() as stack:
        if store is Store.MEMORY:
            mode = ["dev", "--no-discovery", "--no-poll"]
        else:
            keys = Keys(event=secrets.token_hex(16), signing=secrets.token_hex(16))
            mode = ["start", "--event-key", keys.event, "--signing-key", keys.signing]
        if store is Store.SQLITE:
            kept = ["--sqlite-dir", str(folder)]
        if store is Store.REDIS:
            runs, history = stack.enter_context(redis(site)), stack.enter_context(postgres(site))
            for database in (runs, history):
                database.ready(Deadline.after(READY_S))
            history.create("inngest")
            kept = ["--redis-uri", runs.socket_url, "--postgres-uri", history.socket_url("inngest")]
            databases = (runs, history)
        place = stack.enter_context(confined(site, "inngest"))
        api, gateway, *inner = (place.reserve() for _ in range(4))
        ports = {
            "--port": api,
            "--connect-gateway-port": gateway,
            "--connect-gateway-grpc-port": inner[0],
            "--connect-executor-grpc-port": inner[1],
        }
        argv = [str(binary), *mode, *kept, "--host", api.host, *profile.flags]
        argv += [word for flag, address in ports.items() for word in (flag, str(address.port))]
        env = {"DO_NOT_TRACK": "1", "HOME": str(folder)}
        spec = WorkerSpec(argv=place.argv(argv), env=env, cwd=folder, ready=False)
        url = f"http://{place.expose('inngest-probe', api).address}/health"

        server = stack.enter_context(Server("inngest", site.runner, spec, lambda: _answers(url)))
        server.ready(Deadline.after(READY_S))
        resting = Resting(server, databases)
        yield Started(
            place=place,
            api=api,
            gateway=gateway,
            keys=keys,
            servers=(*databases, resting),
            databases=databases,
            revive=resting.revive,
        )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1.0, trust_env=False).is_success
    except httpx.TransportError:
        return False
