"""A running DBOS: the databases of pools, and one client child for all of them."""

from __future__ import annotations

import json
import sys
import threading

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.effects import Json
from harness.load import load_scenario
from harness.process import Process, Service, WorkerSpec
from harness.rpc import Rpc, RpcError
from harness.runtime import Envelope, JournalEntry, RunView, Start
from harness.scenario import Scenario
from runtimes.dbos.pools import Pools
from runtimes.dbos.starts import asked, happened, heard, queues, schedules
from runtimes.dbos.view import view


TEMPLATE = "template"
INSPECT_TIMEOUT_S = 10.0


@dataclass(slots=True)
class Pool:
    """The scenario whose programs a pool runs, and its workers, dead ones too."""

    scenario: Scenario
    workers: list[Process] = field(default_factory=list)

    @property
    def staffed(self) -> bool:
        """Say whether a worker is alive."""
        return any(worker.alive() for worker in self.workers)

    @property
    def debounced(self) -> list[Json]:
        """Return the programs of which one run stands for several starts."""
        return [one.name for one in self.scenario.programs if one.policy.debounce]


@dataclass(slots=True)
class DbosBackend:
    """What has been started; a pool is there from its first worker on."""

    settings: Mapping[str, Any]
    module: str
    place: Pools
    rpc: Rpc
    servers: Sequence[Service] = ()
    pools: dict[str, Pool] = field(default_factory=dict)
    started: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def databases(self) -> Sequence[Service]:
        """Return the database servers, which are killable."""
        return self.place.databases

    def _call(self, method: str, pool: str, timeout_s: float = 30.0, **params: Json) -> Any:  # noqa: ANN401 - as varied as the calls
        return self.rpc.call(method, timeout_s, url=self.place.url(pool), **params)

    def _open(self, pool: str, scenario: Scenario) -> None:
        """Make the database of a pool, with its queues and schedules."""
        with self.lock:
            if pool in self.pools:
                return
            self._drop(_column(pool))
            self.place.copy(TEMPLATE, pool)
            self._call(
                "open",
                pool,
                queues=queues(scenario),
                poll_s=self.settings["queue_poll_s"],
                schedules=schedules(scenario, pool),
            )
            self.pools[pool] = Pool(scenario)

    def _drop(self, column: str) -> None:
        """Delete what pools of a column's earlier trials left: hundreds of databases fill a disk.

        Those of another column may be at work: one whose worker has died waits for the next.
        """
        for name, pool in list(self.pools.items()):
            if _column(name) == column and pool.workers and not pool.staffed:
                self.place.drop(name)
                del self.pools[name]

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker of a pool.

        Raises:
            RuntimeUnavailableError: DBOS cannot do what a program of the scenario asks for.

        """
        self._open(pool, load_scenario(scenario))
        self.started += 1
        executor = f"{pool}.{self.started}" if self.place.shared else pool
        place = {"executor_id": executor, "system_database_url": self.place.url(pool)}
        settings = {**self.settings, "config": {**self.settings["config"], **place}}
        return WorkerSpec(
            argv=[sys.executable, "-m", self.module],
            env={"BAKEOFF_SCENARIO": scenario, "BAKEOFF_DBOS": json.dumps(settings)},
        )

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Give it what former executors left; one of the same id has taken it already."""
        if self.place.shared and self.pools[pool].workers:
            self._call("take_over", pool, executor=announced["executor"])
        self.pools[pool].workers.append(worker)

    def submit(self, starts: Sequence[Start]) -> None:
        """Enqueue runs; those of a pool that no policy keeps apart in one transaction."""
        by_pool: dict[str, list[Start]] = {}
        for start in starts:
            by_pool.setdefault(start.envelope.pool, []).append(start)
        for pool, ours in by_pool.items():
            self._call("submit", pool, starts=asked(self.pools[pool].scenario, ours))

    def publish(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Enqueue the workflow of an event; a worker starts and cancels whom it concerns."""
        if heard(self.pools[envelope.pool].scenario, event):
            starts: list[Json] = [happened(envelope.to_json(), event, key, payload)]
            self._call("submit", envelope.pool, starts=starts)

    def send_event(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Send a message to a run, on a topic of event and key."""
        topic = f"{event} {key}"
        self._call("send", envelope.pool, run=envelope.run, topic=topic, payload=payload)

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Cancel runs and their children; a step in flight ends first."""
        self._call("cancel", pool, runs=[*runs])

    def inspect(self, pool: str, runs: Sequence[str]) -> Sequence[RunView]:
        """Read where runs stand, with few queries; ``unknown`` while the database is away."""
        of = self.pools[pool]
        try:
            rows = self._call(
                "inspect", pool, INSPECT_TIMEOUT_S, runs=[*runs], debounced=of.debounced
            )
        except RpcError as error:
            why = {"error": str(error)}
            return [RunView(run=run, status="unknown", detail=why) for run in runs]
        return [view(run, rows.get(run), staffed=of.staffed) for run in runs]

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Read the recorded steps of a run; one in flight has no row."""
        rows = self._call("journal", pool, run=run)
        return [JournalEntry(run=run, name=r["name"], kind=r["kind"], detail=r) for r in rows]


def _column(pool: str) -> str:
    """Return what the pools of one column's trials have in common: they come one by one."""
    return pool.rpartition("-")[0]
