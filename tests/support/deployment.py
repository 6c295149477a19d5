"""A started runtime as a live deployment, with runs that are well and runs that are not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.bench import Bench, bench
from harness.deadline import Deadline, wait_until
from harness.effects import Tier
from harness.history import History
from harness.load import load_scenario
from harness.process import Process, Runner
from harness.runtime import Backend, Envelope, Runtime, RuntimeUnavailableError, Start
from harness.site import Lot
from harness.trial import READY_S
from harness.world import Cell


SMALL = f"{Path(__file__).parents[1] / 'chaos' / 'small.py'}:SCENARIO"
CELL, STEP = "sick", "note/before_effect#1"
PATIENCE_S = 60.0


@dataclass(slots=True)
class Deployment:
    """A backend with pools, in one cell of the world."""

    lent: Bench
    backend: Any
    runner: Runner
    history: History
    workers: dict[str, Process] = field(default_factory=dict)
    scenario: str = SMALL

    def work(self, pool: str, *, attach: bool = True) -> Process:
        """Start a worker of a pool."""
        spec = self.backend.worker(pool, SMALL)
        env = {**spec.env, "BAKEOFF_TIER": str(Tier.O)}
        worker = self.runner.start(f"{pool}-worker", replace(spec, env=env))
        announced = worker.announced(Deadline.after(READY_S))
        if attach:
            self.backend.attach(pool, worker, announced)
        self.workers[pool] = worker
        return worker

    def start(self, pool: str, run: str, *, held: bool = True) -> str:
        """Start a run; one that is held stays at its second step, and its engine lists it."""
        if held:
            self.lent.world.arm(CELL, run, STEP)
        envelope = Envelope(trial=CELL, pool=pool, cell=CELL, run=run)
        self.backend.submit([Start(envelope=envelope, program="greet", arg={"run": run})])
        if held:
            self.until(lambda: bool(self.seen("held", run)), f"{run} is held")
            # As trials wait: what a killed server had not written yet is in no list afterwards.
            self.until(lambda: self.view(pool, run).listed, f"{run} is listed")
        return run

    def release(self, run: str) -> None:
        """Let a held run go on."""
        self.lent.world.release(CELL, run, STEP, "reply")

    def seen(self, kind: str, run: str) -> list[Any]:
        """Return the events of a kind that the world has of a run."""
        return [event for event in self.history if event.kind == kind and event.run == run]

    def ends(self, pool: str, run: str) -> str:
        """Wait until a run has ended; return how."""
        self.until(lambda: self.view(pool, run).terminal, f"{run} has ended")
        return str(self.view(pool, run).status)

    def view(self, pool: str, run: str) -> Any:
        """Return what the runtime says of a run."""
        (view,) = self.backend.inspect(pool, [run])
        return view

    @staticmethod
    def until(
        predicate: Any, reason: str, patience_s: float = PATIENCE_S, poll_s: float = 0.2
    ) -> None:
        """Wait until something holds."""
        wait_until(predicate, Deadline.after(patience_s), reason, poll_s=poll_s)


@contextmanager
def deployed(runtime: Runtime, folder: Path, profile: str = "fast") -> Iterator[Deployment]:
    """Lend a deployment whose servers serve; skip where the runtime cannot run."""
    scenario = load_scenario(SMALL)
    with ExitStack() as stack:
        lent = stack.enter_context(bench())
        runner = stack.enter_context(closing(lent.runner(folder)))  # type: ignore[type-var]
        history = stack.enter_context(History())
        try:
            lot = Lot(lent.site, runtime.name, runner)
            backend: Backend = stack.enter_context(runtime.start(lot, profile))
        except RuntimeUnavailableError as error:
            pytest.skip(str(error))
        for server in backend.servers:
            server.ready(Deadline.after(READY_S))
        lent.world.open(CELL, Cell.of(Tier.O, scenario.world), history)
        stack.callback(lent.world.close, CELL)
        yield Deployment(lent, backend, runner, history)
