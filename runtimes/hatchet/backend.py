"""A started Hatchet: what the harness asks of it goes through the client child."""

from __future__ import annotations

import sys

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.effects import Json
from harness.load import load_scenario
from harness.process import Address, Process, Service, WorkerSpec
from harness.rpc import Rpc, RpcError
from harness.runtime import Envelope, JournalEntry, RunView, Start
from harness.scenario import Scenario
from harness.worker import child_envelope
from runtimes.hatchet.settings import Place, precedence, start, view


ATTACH_S = 60.0
CALL_S = 120.0


@dataclass(frozen=True, slots=True)
class HatchetBackend:
    """A server with its database, and the child that is its client."""

    servers: Sequence[Service]
    databases: Sequence[Service]
    rpc: Rpc
    place: Place
    """As the client child sees it; each pool's workers have a link of their own."""
    reach: Callable[[str], Address]
    stalled: Callable[[Collection[str]], frozenset[str]]
    """Which of some tasks nothing will move, as far as that can be told."""
    module: str
    scenarios: dict[str, Scenario] = field(default_factory=dict)
    links: dict[str, Address] = field(default_factory=dict)

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker: it speaks to the server through the link."""
        self.scenarios[pool] = load_scenario(scenario)
        if pool not in self.links:
            self.links[pool] = self.reach(f"hatchet-{pool}")
        place = replace(self.place, grpc=str(self.links[pool]))
        argv = [sys.executable, "-m", self.module, pool]
        env = place.environment(pool) | {"BAKEOFF_SCENARIO": scenario}
        return WorkerSpec(argv=argv, env=env)

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Wait until the server lists this incarnation as active."""
        del announced
        self.rpc.call("working", ATTACH_S, pool=pool, worker=worker.incarnation)

    def submit(self, starts: Sequence[Start]) -> None:
        """Start runs in bulk; the server claims a key for each, which makes it idempotent."""
        batch: list[Json] = [
            {
                "run": one.envelope.run,
                "pool": one.envelope.pool,
                "program": one.program,
                "input": start(one.envelope.to_json(), one.arg, self.place.since),
                "priority": self._precedence(one),
            }
            for one in starts
        ]
        self.rpc.call("start", CALL_S, starts=batch)

    def _precedence(self, one: Start) -> int | None:
        scenario = self.scenarios.get(one.envelope.pool)
        return precedence(scenario.program(one.program).policy, one.arg) if scenario else None

    def send_event(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Push an event whose scope is the run: it is found also by a later wait."""
        self._push(envelope, f"{event} {key}", {"payload": payload}, envelope.run)

    def publish(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Push an event; the server starts its consumers, each once for a key."""
        told = start(
            child_envelope(envelope, f"{event}.{key}").to_json(), payload, self.place.since
        )
        self._push(envelope, event, {**told, "event": True}, "")

    def _push(self, envelope: Envelope, event: str, payload: Json, scope: str) -> None:
        self.rpc.call("push", pool=envelope.pool, event=event, payload=payload, scope=scope)

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Cancel runs; the server tells their workers."""
        del pool
        self.rpc.call("cancel", CALL_S, runs=list(runs))

    def inspect(self, pool: str, runs: Sequence[str]) -> Sequence[RunView]:
        """Ask REST for all runs at once, and the engine for each that has not ended.

        What the engine calls running is looked up where it would say that nobody works on it.
        """
        del pool
        try:
            seen = self.rpc.call("describe", CALL_S, runs=list(runs))
        except RpcError as error:
            seen = [{"core": "UNREACHABLE", "failure": str(error)}] * len(runs)
        stalled = self.stalled({one["task"] for one in seen if one["core"] == "RUNNING"})
        return [
            view(run, {**one, "stalled": one.get("task") in stalled})
            for run, one in zip(runs, seen, strict=True)
        ]

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Return the durable log of the run's task."""
        del pool
        return [
            JournalEntry(run=run, name=str(entry["name"]), kind=entry["kind"], detail=entry)
            for entry in self.rpc.call("journal", CALL_S, run=run)
        ]
