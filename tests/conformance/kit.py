"""What a check works with: one scenario on one started runtime, calls that it can hold.

A check asserts on the world's history and on what the runtime says of its runs, by logic and
order.  A lower bound (not before) is logic; "within" is patience only, and moves on with
progress.  That something never happens is looked at once a *sentinel*, a run that was asked
for later and that nothing holds back, has ended, and nothing has moved for ``SILENCE_S``.
"""

from __future__ import annotations

import time

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conformance.programs import SCALE

from harness.cli.bench import Bench, bench
from harness.deadline import Deadline, DeadlineError, Patience, wait_until
from harness.effects import Json, Tier
from harness.history import Event, History
from harness.load import load_scenario
from harness.process import Process, ProcessError, Runner
from harness.rpc import RpcError
from harness.runtime import (
    Backend,
    Envelope,
    Guarantee,
    Publisher,
    Runtime,
    RuntimeUnavailableError,
    RunView,
    Start,
)
from harness.site import Lot
from harness.trial import READY_S
from harness.world import Cell


PROGRAMS = Path(__file__).with_name("programs.py")
SILENCE_S = 0.3
IDLE_S = 15.0
MOST_S = 120.0
CLOCKS_S = 0.05
"""By how much a lower bound may be missed: clocks and timers of two processes."""


class RefusedError(Exception):
    """The runtime takes no such scenario, or has no such door."""


class UnknownError(Exception):
    """The machine was too slow for the check to tell anything."""


FAILURES = (
    AssertionError,
    DeadlineError,
    ProcessError,
    RefusedError,
    RpcError,
    RuntimeUnavailableError,
)
"""How a runtime can fall short of a primitive."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A started runtime; checks come and go."""

    runtime: Runtime
    backend: Backend
    bench: Bench
    folder: Path
    profile: str


@contextmanager
def opened(runtime: Runtime, folder: Path) -> Iterator[Stand]:
    """Lend a runtime whose servers serve.

    Raises:
        RuntimeUnavailableError: it cannot run here.

    """
    profile = "fast" if "fast" in runtime.profiles else runtime.profiles[0]
    with (
        bench() as lent,
        closing(lent.runner(folder / "servers")) as runner,  # type: ignore[type-var]
        runtime.start(Lot(lent.site, runtime.name, runner), profile) as backend,
    ):
        for server in backend.servers:
            server.ready(Deadline.after(READY_S))
        yield Stand(runtime, backend, lent, folder, profile)


@contextmanager
def kit(stand: Stand, primitive: str, idle_s: float = IDLE_S) -> Iterator[Kit]:
    """Lend a kit with a worker for the scenario of a primitive.

    Raises:
        ProcessError: the worker refuses the scenario.

    """
    pool = f"check-{primitive.replace('_', '-')}"
    reference = f"{PROGRAMS}:{primitive.upper()}"
    scenario = load_scenario(reference)
    folder = stand.folder / pool
    with History() as history, closing(stand.bench.runner(folder)) as runner:  # type: ignore[type-var]
        stand.bench.world.open(pool, Cell.of(Tier.O, scenario.world), history)
        try:
            lent = Kit(stand, pool, reference, scenario.main.name, history, runner, idle_s)
            lent.work()
            yield lent
        finally:
            stand.bench.world.close(pool)


@dataclass(slots=True)
class Kit:
    """One scenario, one cell, one pool; at most one worker lives."""

    stand: Stand
    pool: str
    reference: str
    program: str
    history: History
    runner: Runner
    idle_s: float
    emulated: set[str] = field(default_factory=set)
    _worker: Process | None = None
    _sentinels: int = 0

    @property
    def durable(self) -> bool:
        """Say whether the runtime promises that completed steps are kept."""
        return self.stand.runtime.guarantee is not Guarantee.RESTART

    # Processes -----------------------------------------------------------------------------

    def work(self) -> None:
        """Start a worker and give it the pool."""
        backend = self.stand.backend
        spec = backend.worker(self.pool, self.reference)
        env = {**spec.env, "BAKEOFF_TIER": str(Tier.O)}
        self._worker = self.runner.start("worker", replace(spec, env=env))
        announced = self._worker.announced(Deadline.after(READY_S))
        loaded = announced.get("emulated", [])
        self.emulated |= set(map(str, loaded)) if isinstance(loaded, list) else set()
        backend.attach(self.pool, self._worker, announced)
        self.history.append("attached", incarnation=self._worker.incarnation)

    def kill(self) -> None:
        """Kill the worker, and return once the world has let go of its calls."""
        assert self._worker is not None
        victim = self._worker.incarnation
        ended = self._worker.kill()
        self.history.append("exit", incarnation=victim, pid=ended.pid, signal=ended.signal)
        self.until(
            lambda: all(call.data["incarnation"] != victim for call in self.open()),
            "the dead worker's calls are dropped",
        )

    def restart(self) -> None:
        """Kill the worker and every server, then bring all of them back."""
        self.kill()
        for server in self.stand.backend.servers:
            server.kill()
            server.restart()
            server.ready(Deadline.after(READY_S))
        self.work()

    # What goes in --------------------------------------------------------------------------

    def run(self, name: str) -> str:
        """Return the id of a run of this check."""
        return f"{self.pool}-{name}"

    def envelope(self, name: str, armed: Sequence[str] = ()) -> Envelope:
        """Return the envelope of a run."""
        return Envelope(
            trial=self.pool,
            pool=self.pool,
            cell=self.pool,
            run=self.run(name),
            armed=tuple(armed),
            time_scale=SCALE,
        )

    def start(
        self,
        args: Mapping[str, Json],
        hold: tuple[str, *tuple[int, ...]] | None = None,
        armed: Sequence[str] = (),
    ) -> list[str]:
        """Ask for a run of the main program for each name, all in one call; return their ids.

        ``hold`` is a step at which each is held, with the calls of it if not the first.
        """
        for name in args if hold else ():
            self.hold(self.run(name), *hold)
        starts = [
            Start(envelope=self.envelope(name, armed), program=self.program, arg=arg)
            for name, arg in args.items()
        ]
        runs = [start.envelope.run for start in starts]
        self.history.append("submit", runs=runs)
        self.stand.backend.submit(starts)
        return runs

    def publish(self, event: str, key: str, payload: Json, hold: str = "") -> dict[str, str]:
        """Send an event from outside; return the ids of what it starts, by program.

        ``hold`` is a step at which they are held.

        Raises:
            RefusedError: the runtime takes none.

        """
        if not isinstance(self.stand.backend, Publisher):
            msg = "it takes no events from outside"
            raise RefusedError(msg)
        sender = self.envelope("outside")
        programs = load_scenario(self.reference).consumers(event)
        runs = {program.name: f"{sender.run}.{event}.{key}.{program.name}" for program in programs}
        for run in runs.values() if hold else ():
            self.hold(run, hold)
        self.history.append("event", name=f"{event} {key}", payload=payload)
        self.stand.backend.publish(sender, event, key, payload)
        return runs

    def send(self, run: str, event: str, key: str, payload: Json) -> None:
        """Send an event to one run."""
        envelope = self.envelope(run.removeprefix(f"{self.pool}-"))
        self.history.append("event", run, name=f"{event} {key}", payload=payload)
        self.stand.backend.send_event(envelope, event, key, payload)

    def cancel(self, run: str) -> None:
        """Cancel a run."""
        self.stand.backend.cancel(self.pool, [run])

    # The world's doors ---------------------------------------------------------------------

    def hold(self, run: str, step: str, *turns: int) -> None:
        """Hold the calls of a step before they have an effect: the first, or those named."""
        for nth in turns or (1,):
            self.stand.bench.world.arm(self.pool, run, f"{step}/before_effect#{nth}")

    def release(self, run: str, step: str, nth: int = 1, how: str = "reply") -> None:
        """Let a held call go on, or one that will be."""
        self.stand.bench.world.release(self.pool, run, f"{step}/before_effect#{nth}", how)

    def open(self) -> list[Event]:
        """Return the calls that have not been answered, in order."""
        calls: dict[tuple[str, int], Event] = {}
        for event in self.history:
            if event.kind == "call":
                calls[event.data["incarnation"], event.data["seq"]] = event
            elif event.kind in {"reply", "discard"}:
                calls.pop((event.data["incarnation"], event.data["seq"]), None)
        return list(calls.values())

    def held(self) -> list[str]:
        """Return the runs that are held, in order."""
        points = {(e.data["incarnation"], e.data["seq"]) for e in self.history if e.kind == "held"}
        return [
            call.run
            for call in self.open()
            if (call.data["incarnation"], call.data["seq"]) in points
        ]

    def events(self, kind: str, step: str, run: str = "") -> list[Event]:
        """Return the calls (replies, reports) of a step: of one run, or of all but sentinels."""
        return [
            event
            for event in self.history
            if event.kind == kind
            and event.data.get("step") == step
            and (event.run == run if run else "-sentinel-" not in event.run)
        ]

    def calls(self, step: str, run: str = "") -> list[Event]:
        """Return the calls of a step."""
        return self.events("call", step, run)

    # Patience ------------------------------------------------------------------------------

    def until(self, predicate: Callable[[], bool], reason: str) -> None:
        """Wait until something holds.

        Raises:
            DeadlineError: nothing moved for too long, or it went on for ever.

        """
        patience = Patience(self.idle_s, self.moved_s, MOST_S)
        wait_until(predicate, patience, reason, poll_s=0.02, changed=self.history.changed)

    def moved_s(self) -> float:
        """Return when the last event came (monotonic clock)."""
        return self.history[-1].t_ns / 1e9 if len(self.history) else 0.0

    def quiet(self) -> None:
        """Return once a sentinel has ended and nothing has moved since for a while."""
        self._sentinels += 1
        envelope = self.envelope(f"sentinel-{self._sentinels}")
        start = Start(envelope=envelope, program="sentinel", arg=None)
        self.stand.backend.submit([start])
        assert self.end(envelope.run).status == "completed"
        self.until(lambda: time.monotonic() - self.moved_s() >= SILENCE_S, "nothing moves any more")

    def until_held(self, *runs: str) -> None:
        """Wait until these runs are held, and perhaps others."""
        self.until(lambda: set(runs) <= set(self.held()), f"{', '.join(runs)} are held")

    def until_called(self, step: str, times: int = 1, run: str = "") -> None:
        """Wait until a step was called so often."""
        where = f"{step} of {run or 'any run'}"
        self.until(lambda: len(self.calls(step, run)) >= times, f"{where} is called {times} x")

    def until_replied(self, step: str, run: str) -> None:
        """Wait until a step was answered."""
        self.until(lambda: bool(self.events("reply", step, run)), f"{step} of {run} is answered")

    def view(self, run: str) -> RunView:
        """Return what the runtime says of a run."""
        (view,) = self.stand.backend.inspect(self.pool, [run])
        return view

    def end(self, run: str) -> RunView:
        """Wait until a run has ended; return what the runtime says of it."""
        self.until(lambda: self.view(run).terminal, f"{run} has ended")
        return self.view(run)

    def ends(self, runs: Sequence[str]) -> set[str]:
        """Wait until all of these runs have ended; return how."""
        return {self.end(run).status for run in runs}


def first_s(events: Sequence[Event]) -> float:
    """Return when the first of these events came."""
    return events[0].t_ns / 1e9


def last_s(events: Sequence[Event]) -> float:
    """Return when the last of these events came."""
    return events[-1].t_ns / 1e9


def apart(earlier_s: float, later_s: float, least_s: float) -> bool:
    """Say whether as much of the scenario's time lies between two moments."""
    return later_s - earlier_s >= least_s * SCALE - CLOCKS_S


def sooner(began_s: float, limit_s: float, what: str) -> None:
    """Go on if less than that much of the scenario's time has passed.

    Raises:
        UnknownError: the machine was too slow for the check.

    """
    took_s = (time.monotonic() - began_s) / SCALE
    if took_s >= limit_s:
        msg = f"{what} took {took_s:.0f} s of the scenario's time, {limit_s:.0f} s were there"
        raise UnknownError(msg)


def value(event: Event) -> Any:
    """Return what a call was to write."""
    return event.data["args"]["value"]
