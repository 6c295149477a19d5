"""The adapter of DBOS: one SQLite file for each pool, no server, nothing but workers to kill.

DBOS gives a run back to the executor and the application version that it was started under,
and only when such a worker starts.  Both are the same for every worker of a pool, so the next
one takes over; a file of its own keeps a pool's runs and locks from all others.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

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
)
from runtimes.dbos.profiles import CAPABILITIES, PROFILES, WITNESS
from runtimes.dbos.view import view


INSPECT_TIMEOUT_S = 10.0


@dataclass(slots=True)
class DbosBackend:
    """A folder of SQLite files, and one client child for all of them."""

    settings: Mapping[str, Any]
    folder: Path
    rpc: Rpc
    servers: Sequence[Service] = ()
    workers: dict[str, list[Process]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def _file(self, pool: str) -> str:
        path = self.folder / f"{pool}.sqlite"
        with self.lock:
            if not path.exists():
                fresh = path.with_suffix(".new")
                shutil.copyfile(self.folder / "template", fresh)
                fresh.rename(path)
        return str(path)

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker of a pool."""
        place = {"executor_id": pool, "system_database_url": f"sqlite:///{self._file(pool)}"}
        settings = {**self.settings, "config": {**self.settings["config"], **place}}
        return WorkerSpec(
            argv=[sys.executable, "-m", "runtimes.dbos.worker"],
            env={"BAKEOFF_SCENARIO": scenario, "BAKEOFF_DBOS": json.dumps(settings)},
        )

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Nothing to register: a worker takes over when it starts."""
        del announced
        live = [known for known in self.workers.get(pool, []) if known.alive()]
        self.workers[pool] = [*live, worker]

    def submit(self, starts: Sequence[Start]) -> None:
        """Enqueue runs, all of a pool in one transaction."""
        pools: dict[str, list[Json]] = {}
        for start in starts:
            row: Json = [start.program, start.envelope.to_json(), start.arg]
            pools.setdefault(start.envelope.pool, []).append(row)
        for pool, rows in pools.items():
            self.rpc.call("submit", path=self._file(pool), starts=rows)

    def send_event(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Send a message to a run, on a topic of event and key."""
        path, topic = self._file(envelope.pool), f"{event} {key}"
        self.rpc.call("send", path=path, run=envelope.run, topic=topic, payload=payload)

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Cancel runs and their children; a step in flight ends first."""
        self.rpc.call("cancel", path=self._file(pool), runs=[*runs])

    def inspect(self, pool: str, runs: Sequence[str]) -> Sequence[RunView]:
        """Read where runs stand, with two queries; ``unknown`` while the file is locked."""
        staffed = any(worker.alive() for worker in self.workers.get(pool, []))
        try:
            rows = self.rpc.call("inspect", INSPECT_TIMEOUT_S, path=self._file(pool), runs=[*runs])
        except RpcError as error:
            why = {"error": str(error)}
            return [RunView(run=run, status="unknown", detail=why) for run in runs]
        return [view(run, rows.get(run), staffed=staffed) for run in runs]

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Read the recorded steps of a run; one in flight has no row."""
        rows = self.rpc.call("journal", path=self._file(pool), run=run)
        return [JournalEntry(run=run, name=r["name"], kind=r["kind"], detail=r) for r in rows]


class DbosRuntime:
    """DBOS on SQLite."""

    name = "dbos"
    kind = Kind.LIBRARY
    dial = Dial.NONE
    guarantee = Guarantee.AT_LEAST_ONCE
    witness = WITNESS
    capabilities = CAPABILITIES
    profiles: Sequence[str] = tuple(PROFILES)
    batch = 205

    def version(self) -> str:
        """Return the version of the library."""
        try:
            return version("dbos")
        except PackageNotFoundError as error:
            msg = "the library dbos is not installed here; run: pip install 'bakeoff[dbos]'"
            raise RuntimeUnavailableError(msg) from error

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return the settings that govern recovery."""
        return PROFILES[profile]

    @contextmanager
    def start(self, site: Site, profile: str) -> Iterator[DbosBackend]:
        """Make a folder with a migrated template, and start the client child."""
        self.version()
        folder, settings = site.state_dir(f"dbos-{profile}"), self.settings(profile)
        argv = [sys.executable, "-m", "runtimes.dbos.client"]
        with Rpc(argv, folder / "client.log", {**os.environ, **site.environment}) as rpc:
            rpc.call("prepare", 60.0, path=str(folder / "template"), settings=dict(settings))
            yield DbosBackend(settings, folder, rpc)


RUNTIME = DbosRuntime()
