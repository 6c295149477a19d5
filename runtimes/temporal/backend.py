"""A started Temporal: what the harness asks of it goes through the client child."""

from __future__ import annotations

import sys
import time

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.effects import Json
from harness.load import load_scenario
from harness.process import Process, Service, WorkerSpec
from harness.rpc import Rpc, RpcError
from harness.runtime import Envelope, JournalEntry, RunView, Start
from harness.scenario import Scenario
from harness.worker import child_envelope
from runtimes.temporal.settings import GATED, Place, cancels, life_s, named, view


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
    scenarios: dict[str, Scenario] = field(default_factory=dict)
    """Of each pool."""
    asked_s: dict[str, float] = field(default_factory=dict)
    """When the latest worker of each pool was asked for (seconds since 1970)."""
    names: set[str] = field(default_factory=set)
    """Those that pollers have had."""

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker: it polls through the link."""
        self.scenarios[pool] = load_scenario(scenario)
        self.asked_s[pool] = time.time()
        argv = [sys.executable, "-m", self.module, pool]
        return WorkerSpec(argv=argv, env=self.place.environment() | {"BAKEOFF_SCENARIO": scenario})

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Wait until the server knows the worker as a poller, not one of its name before it."""
        name = str(announced.get("worker", worker.incarnation))
        since_s = self.asked_s[pool] if name in self.names else 0.0
        self.rpc.call("polling", ATTACH_S, pool=pool, worker=name, since_s=since_s)
        self.names.add(name)

    def submit(self, starts: Sequence[Start]) -> None:
        """Start workflows; their ids make it idempotent."""
        self.rpc.call("start", CALL_S, starts=[self._start(one) for one in starts])

    def _start(self, one: Start) -> Json:
        policy = self.scenarios[one.envelope.pool].program(one.program).policy
        return {
            "envelope": one.envelope.to_json(),
            "program": one.program,
            "arg": one.arg,
            "life_s": life_s(policy, one.envelope.time_scale, self.place.timers),
            "gated": bool(policy.uses & GATED),
        }

    def publish(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Tell the gates, then start the consumers: Temporal routes no events."""
        scenario, name = self.scenarios[envelope.pool], f"{event}.{key}"
        told: Json = {"event": event, "id": f"{envelope.run}.{name}", "payload": payload}
        programs: list[Json] = [*cancels(scenario, event)]
        self.rpc.call("happened", pool=envelope.pool, programs=programs, told=told)
        starts = [
            (one.name, child_envelope(envelope, f"{name}.{one.name}"))
            for one in scenario.consumers(event)
        ]
        self.submit(
            [Start(envelope=mine, program=program, arg=payload) for program, mine in starts]
        )

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

    def leave(self) -> None:
        """Take away what outlives the runs, from a server that goes on: gates and schedules."""
        programs = [
            (f"{pool}.{program.name}", program.policy)
            for pool, scenario in self.scenarios.items()
            for program in scenario.programs
        ]
        schedules: list[Json] = [name for name, policy in programs if policy.cron]
        gates: list[Json] = [f"{name}.gate" for name, policy in programs if policy.uses & GATED]
        self.rpc.call("unschedule", CALL_S, names=schedules)
        self.rpc.call("terminate", CALL_S, runs=gates)
