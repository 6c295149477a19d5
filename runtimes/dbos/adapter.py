"""The adapter of DBOS: a library in the workers, and the databases that they share.

DBOS gives a run back to the executor and the application version that it was started under,
and only when such a worker starts.  On SQLite all workers of a pool are one executor, so the
next one takes over; on PostgreSQL each is its own, and what former ones left is resumed.
"""

from __future__ import annotations

import os
import sys

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from harness.deadline import Deadline
from harness.effects import Json
from harness.observer import Observer
from harness.process import Site
from harness.rpc import Rpc
from harness.runtime import Dial, Guarantee, Kind, RuntimeUnavailableError, Support, Witness
from runtimes.dbos.backend import TEMPLATE, DbosBackend
from runtimes.dbos.observer import observing
from runtimes.dbos.pools import Databases, Files, Pools
from runtimes.dbos.profiles import CAPABILITIES, POSTGRES, PROFILES, SQLITE, WITNESS
from runtimes.support.postgres import postgres


READY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DbosRuntime:
    """DBOS on SQLite, or on a private PostgreSQL.

    ``module`` is the worker's; ``scenarios`` are those that it can run, ``None`` for all.
    """

    name: str = "dbos"
    postgres: bool = False
    module: str = "runtimes.dbos.worker"
    scenarios: Sequence[str] | None = None
    kind: Kind = Kind.LIBRARY
    dial: Dial = Dial.NONE
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE
    witness: Mapping[str, Witness] = field(default_factory=lambda: WITNESS)
    capabilities: Mapping[str, Support] = field(default_factory=lambda: CAPABILITIES)
    profiles: Sequence[str] = tuple(PROFILES)
    batch: int = 205

    def version(self) -> str:
        """Return the version of the library."""
        try:
            return version("dbos")
        except PackageNotFoundError as error:
            msg = "the library dbos is not installed here; run: pip install 'bakeoff[dbos]'"
            raise RuntimeUnavailableError(msg) from error

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return the settings that govern recovery."""
        return {**PROFILES[profile], **(POSTGRES if self.postgres else SQLITE)[profile]}

    @contextmanager
    def start(self, site: Site, profile: str) -> Iterator[DbosBackend]:
        """Make the template of all pools, and start the client child."""
        self.version()
        folder, settings = site.state_dir(f"dbos-{profile}"), self.settings(profile)
        argv = [sys.executable, "-m", "runtimes.dbos.client"]
        environment = {**os.environ, **site.environment}
        with ExitStack() as stack:
            pools: Pools = Files(folder)
            if self.postgres:
                durable = bool(settings["durable"])
                server = stack.enter_context(postgres(site, durable=durable))
                server.ready(Deadline.after(READY_S))
                pools = Databases(server)
            rpc = stack.enter_context(Rpc(argv, folder / "client.log", environment))
            journal = settings.get("journal_mode")
            rpc.call("prepare", READY_S, url=pools.url(TEMPLATE), journal=journal)
            yield DbosBackend(settings, self.module, pools, rpc)

    def observe(self) -> AbstractContextManager[Observer]:
        """Look at the deployment that the environment names."""
        return observing()


RUNTIME = DbosRuntime()
POSTGRESQL = DbosRuntime(name="dbos-postgres", postgres=True)
