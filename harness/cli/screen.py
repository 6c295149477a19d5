"""What a person sees of a sweep: live progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from harness.known import read
from harness.store import Store
from harness.summary import Cell, cells


def line(cell: Cell) -> str:
    """Return a cell in one line."""
    what = f"schedules, depth {cell.depth}" if cell.depth > 1 else "points"
    parts = [f"{cell.schedules} {what}"]
    for count, word in (
        (cell.clean, "clean"),
        (cell.escalated, "escalated"),
        (cell.predicted, "violated as predicted"),
        (cell.known, "violated as is known"),
        (cell.surprising, "CONTRADICT THE MODEL"),
        (cell.unknown, "unknown"),
        (cell.confirmed, "proved alone"),
    ):
        if count:
            parts.append(f"{count} {word}")
    return f"{cell.runtime:<10} {cell.case:<23} {cell.guard:<5} {cell.fault:<17} {', '.join(parts)}"


class Screen:
    """Live progress on a terminal, plain lines elsewhere."""

    def __init__(self, store: Store, *, quiet: bool, cells_: int = 0) -> None:
        """Show the progress of a store's sweep of so many cells; with ``quiet``, nothing."""
        self.store, self.quiet = store, quiet
        self.console = Console(stderr=True) if quiet else Console(soft_wrap=True, highlight=False)
        self.skips: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("cells, {task.fields[schedules]} schedules"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
            transient=True,
        )
        self._task = self.progress.add_task("starting", total=cells_, schedules="0 of 0")
        self._planned = self._judged = 0

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            self.console.print(text, markup=False)

    def begun(self, runtime: str, case: str, guard: str, fault: str) -> None:
        """Show what is being worked on."""
        del guard
        self.progress.update(self._task, description=f"{runtime} {case} {fault}")

    def planned(self, schedules: int) -> None:
        """Add to what is to be done."""
        with self._lock:
            self._planned += schedules
        self._count()

    def judged(self, schedules: int) -> None:
        """Add to what is done."""
        with self._lock:
            self._judged += schedules
        self._count()

    def _count(self) -> None:
        self.progress.update(self._task, schedules=f"{self._judged} of {self._planned}")

    def ended(self, runtime: str, case: str, guard: str, fault: str) -> None:
        """Print the lines of a cell."""
        self.progress.advance(self._task)
        wanted = (runtime, case, guard, fault)
        rows = [
            row
            for row in self.store.rows()
            if (row["runtime"], row["case"], row["guard"], row["fault"]) == wanted
        ]
        for cell in cells(rows, read(self.store.facts().get("known", ()))):
            self.say(line(cell))

    def skipped(self, runtime: str, case: str, guard: str, fault: str, reason: str) -> None:
        """Note a cell that is not measured."""
        self.progress.advance(self._task)
        skip = {"runtime": runtime, "case": case, "guard": guard, "fault": fault, "reason": reason}
        with self._lock:
            self.skips.append(skip)
        self.say(f"{runtime:<10} {case:<23} {guard:<5} {fault:<17} not measured: {reason}")
