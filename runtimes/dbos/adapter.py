"""The adapter of DBOS: a library in the workers, and the databases that they share.

DBOS gives a run back to the executor and the application version that it was started under,
and only when such a worker starts.  On SQLite all workers of a pool are one executor, so the
next one takes over; on PostgreSQL each is its own, and what former ones left is resumed.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness.deadline import Deadline
from harness.effects import Json
from harness.process import Process, Service, Site, WorkerSpec
from harness.rpc import Rpc, RpcError
from harness.runtime import (
    Dial,
    Envelope,
    Guarantee,
    JournalEntry,
    Kind,
    RuntimeUnavailableError,
    RunView,
    Start,
    Support,
    Witness,
)
from runtimes.dbos.pools import Databases, Files, Pools
from runtimes.dbos.profiles import CAPABILITIES, POSTGRES, PROFILES, SQLITE, WITNESS
from runtimes.dbos.view import view
from runtimes.support.postgres import postgres


TEMPLATE, READY_S = "template", 60.0
INSPECT_TIMEOUT_S = 10.0


@dataclass(slots=True)
class DbosBackend:
    """The databases of pools, and one client child for all of them."""

    settings: Mapping[str, Any]
    module: str
    pools: Pools
    rpc: Rpc
    servers: Sequence[Service] = ()
    workers: dict[str, list[Process]] = field(default_factory=dict)
    started: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def databases(self) -> Sequence[Service]:
        """Return the database servers, which are killable."""
        return self.pools.databases

    def _url(self, pool: str) -> str:
        """Return the URL of a pool's database, which is made when it is first asked for."""
        with self.lock:
            if pool not in self.workers:
                self._drop()
                self.pools.copy(TEMPLATE, pool)
                self.workers[pool] = []
        return self.pools.url(pool)

    def _drop(self) -> None:
        """Delete what pools of earlier trials left: hundreds of databases fill a disk."""
        for pool, workers in list(self.workers.items()):
            if workers and not any(worker.alive() for worker in workers):
                self.pools.drop(pool)
                del self.workers[pool]

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker of a pool."""
        url = self._url(pool)
        self.started += 1
        executor = f"{pool}.{self.started}" if self.pools.shared else pool
        place = {"executor_id": executor, "system_database_url": url}
        settings = {**self.settings, "config": {**self.settings["config"], **place}}
        return WorkerSpec(
            argv=[sys.executable, "-m", self.module],
            env={"BAKEOFF_SCENARIO": scenario, "BAKEOFF_DBOS": json.dumps(settings)},
        )

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Give it what former executors left; one of the same id has taken it already."""
        if self.pools.shared and self.workers[pool]:
            self.rpc.call("take_over", url=self._url(pool), executor=announced["executor"])
        self.workers[pool].append(worker)

    def submit(self, starts: Sequence[Start]) -> None:
        """Enqueue runs, all of a pool in one transaction."""
        pools: dict[str, list[Json]] = {}
        for start in starts:
            row: Json = [start.program, start.envelope.to_json(), start.arg]
            pools.setdefault(start.envelope.pool, []).append(row)
        for pool, rows in pools.items():
            self.rpc.call("submit", url=self._url(pool), starts=rows)

    def send_event(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Send a message to a run, on a topic of event and key."""
        url, topic = self._url(envelope.pool), f"{event} {key}"
        self.rpc.call("send", url=url, run=envelope.run, topic=topic, payload=payload)

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Cancel runs and their children; a step in flight ends first."""
        self.rpc.call("cancel", url=self._url(pool), runs=[*runs])

    def inspect(self, pool: str, runs: Sequence[str]) -> Sequence[RunView]:
        """Read where runs stand, with two queries; ``unknown`` while the database is away."""
        staffed = any(worker.alive() for worker in self.workers.get(pool, []))
        try:
            rows = self.rpc.call("inspect", INSPECT_TIMEOUT_S, url=self._url(pool), runs=[*runs])
        except RpcError as error:
            why = {"error": str(error)}
            return [RunView(run=run, status="unknown", detail=why) for run in runs]
        return [view(run, rows.get(run), staffed=staffed) for run in runs]

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Read the recorded steps of a run; one in flight has no row."""
        rows = self.rpc.call("journal", url=self._url(pool), run=run)
        return [JournalEntry(run=run, name=r["name"], kind=r["kind"], detail=r) for r in rows]


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
            rpc.call("prepare", READY_S, url=pools.url(TEMPLATE), settings=dict(settings))
            yield DbosBackend(settings, self.module, pools, rpc)


RUNTIME = DbosRuntime()
POSTGRESQL = DbosRuntime(name="dbos-postgres", postgres=True)
