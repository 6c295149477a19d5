"""Sweeps inside the test process, for tests that look at what a column found.

Everything is real (processes, ports, files) but for the screen: a test has none.
"""

from __future__ import annotations

import dataclasses
import secrets
import threading

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cli.bench import bench
from harness.deadline import Deadline
from harness.effects import Guard
from harness.history import Event, split
from harness.model import ideal
from harness.plan import arg_of
from harness.runtime import Runtime
from harness.schedule import Point, Schedule, Stage, visited
from harness.site import Lot
from harness.store import Store
from harness.suite import case
from harness.summary import Cell, cells
from harness.sweep import Column, Request, Target
from harness.trial import READY_S


@dataclass(slots=True)
class Silent:
    """A listener that keeps what was skipped."""

    skips: list[str] = field(default_factory=list)

    def begun(self, runtime: str, case: str, guard: str, fault: str) -> None:
        """Nothing to show."""

    def ended(self, runtime: str, case: str, guard: str, fault: str) -> None:
        """Nothing to show."""

    def planned(self, schedules: int) -> None:
        """Nothing to show."""

    def judged(self, schedules: int) -> None:
        """Nothing to show."""

    def skipped(self, runtime: str, case: str, guard: str, fault: str, reason: str) -> None:
        """Keep the reason."""
        self.skips.append(f"{runtime} {case} {guard} {fault}: {reason}")


def target(text: str, *faults: str, guard: str = "none") -> Target:
    """Return the row of a case such as ``migration[K]`` or ``/a/file.py[O]``."""
    return Target(case=case(text), guard=Guard(guard), faults=faults)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a column found."""

    rows: list[dict[str, Any]]
    skips: list[str]
    planned: int
    judged: int

    @property
    def cells(self) -> list[Cell]:
        """Return the cells, golden runs included."""
        return cells(self.rows)

    @property
    def broken(self) -> list[dict[str, Any]]:
        """Return the rows of schedules: all but the golden runs."""
        return [row for row in self.rows if row["depth"]]

    @property
    def surprises(self) -> list[str]:
        """Return what contradicts the model, a line for each run; unknown rows among it."""
        return [
            f"{row['runtime']} {row['case']} {row['mode']} {row['schedule']}: {row['outcome']} "
            f"unpredicted {row['unpredicted']} absent {row['absent']} {row['why']}"
            for row in self.rows
            if row["surprising"] or row["outcome"] == "unknown"
        ]


@contextmanager
def opened(
    runtime: Runtime, folder: Path, *targets: Target, **asked: Any
) -> Iterator[tuple[Column, Silent]]:
    """Lend a column whose backend is not started yet."""
    request = Request(targets=targets, **asked)
    store = Store.create(folder, {"test": True})
    screen = Silent()
    with store.owned(), bench() as lent:
        one = Column(
            runtime=runtime,
            reference=runtime.name,
            request=request,
            store=store,
            world=lent.world,
            stands=lent.stands,
            site=lent.site,
            make_runner=lent.for_trials(),
            server_runner=lent.runner(store.path / "servers"),
            listener=screen,
            secret=lent.secret,
            stop=threading.Event(),
            depth=request.depth,
        )
        yield one, screen


def sweep(runtime: Runtime, folder: Path, *targets: Target, **asked: Any) -> Swept:
    """Run a column to its end and return what it found."""
    with opened(runtime, folder, *targets, **asked) as (one, screen):
        one.run()
        return Swept(one.store.rows(), screen.skips, one.planned, one.judged)


@contextmanager
def started(runtime: Runtime, folder: Path, *targets: Target) -> Iterator[Column]:
    """Lend a column whose backend serves, for single trials of a test's own choice.

    Raises:
        RuntimeUnavailableError: the runtime cannot run here.

    """
    with opened(runtime, folder, *targets) as (one, _):
        lot = Lot(one.site, runtime.name, one.server_runner)
        with runtime.start(lot, one.request.profile) as one.backend:
            for server in one.backend.servers:
                server.ready(Deadline.after(READY_S))
            yield one


def golden(one: Column, row: Target) -> tuple[list[Event], dict[str, Any], list[Point]]:
    """Run a case without faults; return its history, its row and the points that it passes."""
    events, rows = one.trial(row, "none", 0, "golden", (Schedule(),))
    run = rows[0]["run"]
    waits = ideal(row.case, run, arg_of(row.case, run)).waits
    points = visited(split(events)[run], waits, one.runtime.witness)
    return events, rows[0], points


def abreast(
    one: Column, row: Target, trials: Mapping[str, tuple[str, Sequence[Schedule]]]
) -> dict[str, tuple[list[Event], list[dict[str, Any]]]]:
    """Run trials side by side on one backend: by label, what fault comes to which schedules.

    Most of each is waiting for timers by which an engine tells the dead from the living.
    """

    def run(label: str) -> tuple[list[Event], list[dict[str, Any]]]:
        name, chosen = trials[label]
        mine = dataclasses.replace(one, prefix=f"t{secrets.token_hex(3)}")
        return mine.trial(row, name, 1, label, tuple(chosen))

    with ThreadPoolExecutor(len(trials), "trials") as threads:
        return dict(zip(trials, threads.map(run, trials), strict=True))


def schedules(points: Sequence[Point], fault: str) -> list[Schedule]:
    """Return a schedule of one fault for each point."""
    return [Schedule((Stage(point, fault),)) for point in points]
