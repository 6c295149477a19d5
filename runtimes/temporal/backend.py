"""A started Temporal: what the harness asks of it goes through the client child."""

from __future__ import annotations

import sys

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.effects import Json
from harness.process import Process, Service, WorkerSpec
from harness.rpc import Rpc, RpcError
from harness.runtime import Envelope, JournalEntry, RunView, Start
from runtimes.temporal.settings import Place, named, view


ATTACH_S = 60.0
CALL_S = 120.0


@dataclass(frozen=True, slots=True)
class TemporalBackend:
    """A server, and the child that is its client."""

    servers: Sequence[Service]
    rpc: Rpc
    place: Place
    """As a worker sees it: through the link."""
    module: str
    """The worker's, run as a script."""

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker: it polls through the link."""
        argv = [sys.executable, "-m", self.module, pool]
        return WorkerSpec(argv=argv, env=self.place.environment() | {"BAKEOFF_SCENARIO": scenario})

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Wait until the server knows this incarnation as a poller."""
        del announced
        self.rpc.call("polling", ATTACH_S, pool=pool, worker=worker.incarnation)

    def submit(self, starts: Sequence[Start]) -> None:
        """Start workflows; their ids make it idempotent."""
        batch: list[Json] = [
            {"envelope": start.envelope.to_json(), "program": start.program, "arg": start.arg}
            for start in starts
        ]
        self.rpc.call("start", CALL_S, starts=batch)

    def send_event(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Signal the run."""
        data: Json = {"event": event, "key": key, "payload": payload}
        self.rpc.call("signal", run=envelope.run, data=data)

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Terminate runs, with the children that they wait for; no worker is needed."""
        del pool
        self.rpc.call("terminate", CALL_S, runs=list(runs))

    def inspect(self, pool: str, runs: Sequence[str]) -> Sequence[RunView]:
        """Describe each run; the SDK retries for some 10 s while the server is away."""
        del pool
        try:
            seen = self.rpc.call("describe", CALL_S, runs=list(runs))
        except RpcError as error:
            seen = [{"status": "UNREACHABLE", "failure": str(error)}] * len(runs)
        return [view(run, one) for run, one in zip(runs, seen, strict=True)]

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Return the history of the workflow."""
        del pool
        events = self.rpc.call("journal", CALL_S, run=run)
        return [
            JournalEntry(run=run, name=named(event), kind=event["eventType"], detail=event)
            for event in events
        ]
