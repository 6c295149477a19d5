"""The adapter of the embedded runtimes: one SQLite file for each pool, no server."""

from __future__ import annotations

import sys

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.effects import Json
from harness.policy import PRIMITIVES
from harness.process import Process, Service, Site, WorkerSpec
from harness.program import AFTER_ACK, FINALIZE
from harness.runtime import (
    Dial,
    Envelope,
    Guarantee,
    JournalEntry,
    Kind,
    RunView,
    Start,
    Support,
    Witness,
)
from runtimes.embedded.store import Store


LIMITS: Mapping[str, Json] = {"attempts": "attempts", "hang": "hang_timer_s", "store": "journal"}


@dataclass(slots=True)
class EmbeddedBackend:
    """A folder with a store for each pool."""

    runtime: EmbeddedRuntime
    folder: Path
    servers: Sequence[Service] = ()
    stores: dict[str, Store] = field(default_factory=dict)
    workers: dict[str, Process] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Those of the workers."""

    def _store(self, pool: str) -> Store:
        if pool not in self.stores:
            self.stores[pool] = Store(self.folder / f"{pool}.db")
        return self.stores[pool]

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker of a pool."""
        path = self.folder / f"{pool}.db"
        argv = [sys.executable, *self.runtime.argv, self.runtime.policy, str(path)]
        return WorkerSpec(argv=argv, env={"BAKEOFF_SCENARIO": scenario})

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Nothing to register: a worker takes over at its start."""
        self.workers[pool] = worker
        self.names[pool] = str(announced.get("worker", worker.incarnation))

    def submit(self, starts: Sequence[Start]) -> None:
        """Put runs into their pool's store and tell its worker."""
        for pool in dict.fromkeys(start.envelope.pool for start in starts):
            self._store(pool).submit([start for start in starts if start.envelope.pool == pool])
            self._tell(pool)

    def send_event(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Put an event into the store and tell the worker."""
        self._store(envelope.pool).add_event(envelope.run, event, key, payload)
        self._tell(envelope.pool)

    def publish(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Put an event into the store, for programs and policies, and tell the worker."""
        self._store(envelope.pool).publish(envelope, event, key, payload)
        self._tell(envelope.pool)

    def _tell(self, pool: str) -> None:
        if pool in self.workers:
            self.workers[pool].send({"look": True})

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Write runs off and tell the worker, which stops what it does for them."""
        for run in runs:
            self._store(pool).set_status(run, "cancelled")
        self._tell(pool)

    def inspect(self, pool: str, runs: Sequence[str]) -> Sequence[RunView]:
        """Read where runs stand."""
        worker = self.workers.get(pool)
        alive = self.names[pool] if worker and worker.alive() else ""
        return self._store(pool).views(runs, alive)

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Read a run's records."""
        return [
            JournalEntry(run=run, name=record.name, kind=record.kind, detail={"body": record.body})
            for record in self._store(pool).records(run)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedRuntime:
    """A policy under a name; ``argv`` is how its worker is started.

    ``durable`` says that what is kept outlives a power cut, not only the process, and
    ``worker_name`` what a worker's name is to it.
    """

    name: str
    policy: str
    guarantee: Guarantee
    kind: Kind
    argv: Sequence[str] = ("-m", "runtimes.embedded.worker")
    durable: bool = False
    worker_name: str = "the claim of a run"
    backend: type[EmbeddedBackend] = EmbeddedBackend
    dial: Dial = Dial.NONE
    profiles: Sequence[str] = ("default", "fast")
    batch: int = 2000
    witness: Mapping[str, Witness] = field(
        default_factory=lambda: {
            "before_effect": Witness.WORLD,
            "after_effect": Witness.WORLD,
            AFTER_ACK: Witness.WORKER,
            FINALIZE: Witness.WORKER,
            "waiting": Witness.JOURNAL,
        }
    )
    capabilities: Mapping[str, Support] = field(
        default_factory=lambda: dict.fromkeys((*PRIMITIVES, "decide"), Support.NATIVE)
    )

    def version(self) -> str:
        """Return the version: it is ours."""
        return "1"

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return the settings: there is nothing to tune, a new worker takes over at once."""
        del profile
        return {
            "settle_s": 15.0,
            "hang_timer_s": None,
            "policy": self.policy,
            "takes_over": "the next worker, at its start",
            "attempts": None,
            "governs": {"dead_worker": "takes_over", "unreachable": "takes_over", **LIMITS},
            "worker_name": self.worker_name,
            "worker_name_governs": "nothing",
            "journal": f"sqlite wal, synchronous={'full' if self.durable else 'normal'}",
        }

    @contextmanager
    def start(self, site: Site, profile: str) -> Iterator[EmbeddedBackend]:
        """Give the backend a folder; it has no process of its own."""
        del profile
        backend = self.backend(self, site.state_dir(self.name))
        try:
            yield backend
        finally:
            for store in backend.stores.values():
                store.close()
