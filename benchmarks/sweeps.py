"""How long sweeps take: `nox -s bench` prints figures with machine and load.

Every round runs each runtime once, in alternating order, with its servers up; each figure
stands beside its ratio to the checkpoint control of the same round, because machines are
shared and noisy.  Nothing here is a test.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from harness.cli.bench import Bench, bench, host, runtimes
from harness.cli.run import column
from harness.cli.screen import Screen
from harness.deadline import Deadline
from harness.effects import Guard
from harness.history import Event, split
from harness.metrics import recovery
from harness.model import ideal
from harness.plan import arg_of
from harness.runtime import Runtime, RuntimeUnavailableError
from harness.schedule import Schedule, Stage, visited
from harness.site import Lot
from harness.store import Store
from harness.suite import case, default_case
from harness.sweep import Column, Request, Target
from harness.trial import READY_S


FAULT = "kill(worker)"
PEER = "checkpoint"


@dataclass(slots=True)
class Figures:
    """Seconds of each round."""

    batch_s: list[float] = field(default_factory=list)
    single_s: list[float] = field(default_factory=list)
    progress_s: list[float] = field(default_factory=list)
    """From a kill to the first thing that the next worker asks for, in single trials."""
    harness_cpu_s: list[float] = field(default_factory=list)


def start(stack: ExitStack, bench_: Bench, store: Store, name: str, runtime: Runtime) -> Column:
    """Return a column whose backend is up.

    Raises:
        RuntimeUnavailableError: it cannot run here.

    """
    target = Target(case=case(default_case()), guard=Guard.NONE, faults=(FAULT,))
    request = Request(targets=(target,), confirm=False)
    screen, stop = Screen(store, quiet=True), threading.Event()
    made = column(bench_, name, runtime, request, store, screen, stop)
    lot = Lot(bench_.site, runtime.name, made.server_runner)
    made.backend = stack.enter_context(runtime.start(lot, request.profile))
    for server in made.backend.servers:
        server.ready(Deadline.after(READY_S))
    return made


def points(made: Column) -> tuple[Schedule, ...]:
    """Return the schedules of depth 1, from a run without faults."""
    target = made.request.targets[0]
    events, rows = made.trial(target, "none", 0, "golden", (Schedule(),))
    run = rows[0]["run"]
    end = ideal(target.case, run, arg_of(target.case, run))
    found = visited(split(events)[run], end.waits, made.runtime.witness)
    return tuple(Schedule((Stage(point, FAULT),)) for point in found)


def once(made: Column, label: str, schedules: tuple[Schedule, ...]) -> Sequence[Event]:
    """Run a trial and return its history."""
    events, _ = made.trial(made.request.targets[0], FAULT, 1, label, schedules)
    return events


def took_s(events: Sequence[Event]) -> float:
    """Return the seconds of a trial, from the first event to the last."""
    return (events[-1].t_ns - events[0].t_ns) / 1e9


def spread(values: Sequence[float]) -> str:
    """Return median and range."""
    return f"{statistics.median(values):6.2f} ({min(values):.2f} - {max(values):.2f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--singles", type=int, default=2, help="single trials in each round")
    parser.add_argument("--runtime", action="append", default=[])
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        store = Store.create(Path(folder), {})
        bench_ = stack.enter_context(bench())
        columns: dict[str, Column] = {}
        for name, runtime in runtimes(asked.runtime, controls=True).items():
            try:
                columns[runtime.name] = start(stack, bench_, store, name, runtime)
            except RuntimeUnavailableError as error:
                print(f"{runtime.name:<12}not measured: {error}")
        schedules = {name: points(made) for name, made in columns.items()}
        figures = {name: Figures() for name in columns}
        for round_ in range(asked.rounds):
            order = list(columns) if round_ % 2 == 0 else list(reversed(columns))
            for name in order:
                made, all_ = columns[name], schedules[name]
                before = time.process_time()
                figures[name].batch_s.append(took_s(once(made, f"batch-{round_}", all_)))
                figures[name].harness_cpu_s.append(time.process_time() - before)
                for nth in range(1, asked.singles + 1):
                    index = nth * len(all_) // (asked.singles + 1)
                    events = once(made, f"one-{round_}-{index}", (all_[index],))
                    figures[name].single_s.append(took_s(events))
                    after = recovery(events) or {}
                    figures[name].progress_s += (
                        [after["progress_s"]] if "progress_s" in after else []
                    )
        machine = host()
        print(f"{machine['system']}, {machine['cores']} cores, Python {machine['python']}")
        print(f"load {os.getloadavg()}, {asked.rounds} rounds, median (min - max), seconds")
        print(
            f"{'runtime':<12}{'40-point batch':<24}{'to peer':<22}{'single trial':<24}"
            f"{'kill to progress':<24}harness CPU"
        )
        for name, found in figures.items():
            peer = figures[PEER].batch_s
            ratios = [own / other for own, other in zip(found.batch_s, peer, strict=True)]
            print(
                f"{name:<12}{spread(found.batch_s):<24}{spread(ratios):<22}"
                f"{spread(found.single_s):<24}{spread(found.progress_s):<24}"
                f"{spread(found.harness_cpu_s)}"
            )
        for name, found in figures.items():
            rate = 60 * len(schedules[name]) / statistics.median(found.batch_s)
            print(f"{name:<12}{rate:8.0f} real crash points per minute")


if __name__ == "__main__":
    main()
