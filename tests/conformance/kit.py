"""What a check works with: one scenario on one started runtime, calls that it can hold.

A check asserts on the world's history and on what the runtime says of its runs, by logic and
order.  A lower bound (not before) is logic; "within" is patience only, and moves on with
progress: how long nothing may move is the runtime's own `idle_s`, and after a death its
``settle_s``.

That something never happens is looked at after *sentinels*, runs that were asked for later, by
the same door, and that nothing holds back: two have begun and ended one after the other, and
then nothing has moved for twice as long as the slowest start of this check took, from asking to
its first call (`Kit.quiet`).
"""

from __future__ import annotations

import time

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from conformance.programs import SCALE
from conformance.stand import RefusedError, Stand, patience

from harness.deadline import Deadline, Patience, wait_until
from harness.effects import Json, Tier
from harness.history import Event, History
from harness.load import load_scenario
from harness.process import Process, Runner
from harness.runtime import Envelope, Guarantee, Publisher, RunView, Start
from harness.trial import READY_S
from harness.world import Cell


PROGRAMS = Path(__file__).with_name("programs.py")
ROUNDS = 2
SILENCE_S = 0.3
MOST = 4
"""How many times ``settle_s`` a wait may take in all."""


def clock_s(stand: Stand) -> float:
    """Return by what steps a runtime counts time (seconds), where it says that they matter."""
    return float(str(stand.runtime.settings(stand.profile).get("clock_s", 0.0)))


@contextmanager
def kit(stand: Stand, primitive: str, idle_s: float | None = None) -> Iterator[Kit]:
    """Lend a kit with a worker for the scenario of a primitive.

    It waits ``idle_s`` seconds for something to move; without, as long as the runtime says.

    Raises:
        ProcessError: the worker refuses the scenario.

    """
    pool = f"check-{primitive.replace('_', '-')}"
    coarse = primitive == "throttle" and clock_s(stand)
    reference = f"{PROGRAMS}:{primitive.upper()}{'_COARSE' if coarse else ''}"
    scenario = load_scenario(reference)
    folder = stand.folder / pool
    patience_s = patience(stand.runtime, stand.profile) if idle_s is None else (idle_s, idle_s)
    with History() as history, closing(stand.bench.runner(folder)) as runner:  # type: ignore[type-var]
        stand.bench.world.open(pool, Cell.of(Tier.O, scenario.world), history)
        try:
            lent = Kit(stand, pool, reference, scenario.main.name, history, runner, *patience_s)
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
    settle_s: float
    emulated: set[str] = field(default_factory=set)
    _worker: Process | None = None
    _sentinels: set[str] = field(default_factory=set)
    _asked: list[tuple[float, set[str]]] = field(default_factory=list)
    _by_event: bool = False

    @property
    def durable(self) -> bool:
        """Say whether the runtime promises that completed steps are kept."""
        return self.stand.runtime.guarantee is not Guarantee.RESTART

    @property
    def clock_s(self) -> float:
        """Return by what steps the runtime counts time (seconds), where it says that they matter."""
        return clock_s(self.stand)

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
        self.idle_s = self.settle_s
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
        program: str = "",
    ) -> list[str]:
        """Ask for a run for each name, all in one call; return their ids.

        ``hold`` is a step at which each is held, with the calls of it if not the first;
        ``program`` is the main one unless named.
        """
        for name in args if hold else ():
            self.hold(self.run(name), *hold)
        starts = [
            Start(envelope=self.envelope(name, armed), program=program or self.program, arg=arg)
            for name, arg in args.items()
        ]
        runs = [start.envelope.run for start in starts]
        self._ask(runs)
        self.history.append("submit", runs=runs)
        self.stand.backend.submit(starts)
        return runs

    def _ask(self, runs: Sequence[str], *, by_event: bool = False) -> None:
        self._by_event = by_event
        self._asked.append((time.monotonic(), set(runs)))

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
        self._ask([*runs.values()], by_event=True)
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
            and (event.run == run if run else event.run not in self._sentinels)
        ]

    def calls(self, step: str, run: str = "") -> list[Event]:
        """Return the calls of a step."""
        return self.events("call", step, run)

    # Patience ------------------------------------------------------------------------------

    def until(self, predicate: Callable[[], bool], reason: str, *, at_least_s: float = 0.0) -> None:
        """Wait until something holds, which may take ``at_least_s`` without a move.

        Raises:
            DeadlineError: nothing moved for too long, or it went on for ever.

        """
        patience = Patience(at_least_s + self.idle_s, self.moved_s, MOST * self.settle_s)
        wait_until(predicate, patience, reason, poll_s=0.02, changed=self.history.changed)

    def moved_s(self) -> float:
        """Return when the last event came (monotonic clock)."""
        return self.history[-1].t_ns / 1e9 if len(self.history) else 0.0

    def quiet(self) -> None:
        """Return when what was asked for has either begun or is not going to.

        The sentinels come by the door that was used last: what an engine does with events may
        be behind what it does with starts.
        """
        by_event = self._by_event
        for _ in range(ROUNDS):
            name = f"sentinel-{len(self._sentinels)}"
            if by_event:
                run = self.publish("sentinel", name, {})["sentinel"]
            else:
                [run] = self.start({name: {}}, program="sentinel")
            self._sentinels.add(run)
            assert self.end(run).status == "completed"
        silence_s = max(SILENCE_S, 2 * self.slowest_s())
        self.until(
            lambda: time.monotonic() - self.moved_s() >= silence_s,
            f"nothing moves for {silence_s:.1f} s",
            at_least_s=silence_s,
        )

    def slowest_s(self) -> float:
        """Return how long starts took at most (s): from asking to the first call of any of them."""
        first: dict[str, float] = {}
        for event in self.history:
            if event.kind == "call":
                first.setdefault(event.run, event.t_ns / 1e9)
        took = [
            min(first[run] for run in runs & first.keys()) - asked_s
            for asked_s, runs in self._asked
            if runs & first.keys()
        ]
        return max(took, default=0.0)

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
