"""How an installation shows itself: a moving line on a terminal, plain lines in a log.

A build of several minutes that says nothing looks like one that hangs, and a progress bar in a CI
log is noise.  Both displays show the same words.
"""

from __future__ import annotations

import sys
import time

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from harness.engines.engine import Progress


HEARTBEAT_S = 15.0
_TELLING = 0.1
_MINUTE_S = 60


@dataclass(slots=True, kw_only=True)
class Stage:
    """One stage of an installation, and how far it is."""

    what: str
    unit: str = ""
    total: float | None = None
    typical_s: float | None = None
    amount: float = 0.0
    began_s: float = 0.0

    def state(self) -> str:
        """Return how much is done and how long the rest is likely to take."""
        words = []
        if self.unit and self.total:
            words.append(f"{self.amount:.0f} of {self.total:.0f} {self.unit}")
        elif self.unit:
            words.append(f"{self.amount:.0f} {self.unit}")
        left_s = self.left_s()
        if left_s and left_s >= 1:
            words.append(f"about {duration(left_s)} left")
        return ", ".join(words)

    def title(self) -> str:
        """Return what it is and how long it takes as a rule, where that is worth knowing."""
        if self.typical_s and self.typical_s >= HEARTBEAT_S:
            return f"{self.what}, typically {duration(self.typical_s)}"
        return self.what

    def left_s(self) -> float | None:
        """Return the seconds that are left, by what is done so far or else by what is typical."""
        elapsed_s = time.monotonic() - self.began_s
        if self.total and self.amount >= self.total * _TELLING:
            return max(0.0, elapsed_s * (self.total - self.amount) / self.amount)
        return max(0.0, self.typical_s - elapsed_s) if self.typical_s else None


class Lines:
    """Progress as lines: each stage when it begins, then a sign of life now and then."""

    def __init__(self, label: str, out: TextIO) -> None:
        """Write to ``out``, each line beginning with ``label``."""
        self._label, self._out = label, out
        self._stage = Stage(what="")
        self._told_s = time.monotonic()

    def stage(
        self,
        what: str,
        *,
        unit: str = "",
        total: float | None = None,
        typical_s: float | None = None,
    ) -> None:
        """Begin the next stage."""
        self._stage = _begin(what, unit, total, typical_s)
        self.note(self._stage.title())

    def reached(self, amount: float) -> None:
        """Say how far the stage is, unless it was said just now."""
        self._stage.amount = amount
        if time.monotonic() - self._told_s >= HEARTBEAT_S:
            elapsed = duration(time.monotonic() - self._stage.began_s)
            self.note(f"{self._stage.what}: {self._stage.state()}, {elapsed} so far")

    def note(self, line: str) -> None:
        """Write one line."""
        self._told_s = time.monotonic()
        self._out.write(f"{self._label}: {line}\n")
        self._out.flush()


class Bars:
    """Progress as one moving line for each stage."""

    def __init__(self, label: str, bar: Bar) -> None:
        """Show on ``bar``, which the caller starts and stops."""
        self._label, self._bar = label, bar
        self._stage = Stage(what="")
        self._task: TaskID | None = None

    def stage(
        self,
        what: str,
        *,
        unit: str = "",
        total: float | None = None,
        typical_s: float | None = None,
    ) -> None:
        """End the stage that is shown, and begin the next."""
        self.end()
        self._stage = _begin(what, unit, total, typical_s)
        title, state = f"{self._label}: {self._stage.title()}", self._stage.state()
        self._task = self._bar.add_task(title, total=total, state=state)

    def reached(self, amount: float) -> None:
        """Move the line."""
        self._stage.amount = amount
        if self._task is not None:
            self._bar.update(self._task, completed=amount, state=self._stage.state())

    def note(self, line: str) -> None:
        """Print one line above the moving one."""
        self._bar.console.print(f"{self._label}: {line}")

    def end(self) -> None:
        """Show the stage as done, whatever was foreseen."""
        if self._task is not None:
            self._bar.update(self._task, total=1, completed=1, state="done")
            self._bar.stop_task(self._task)


def _begin(what: str, unit: str, total: float | None, typical_s: float | None) -> Stage:
    began_s = time.monotonic()
    return Stage(what=what, unit=unit, total=total, typical_s=typical_s, began_s=began_s)


@contextmanager
def progress(label: str, out: TextIO | None = None) -> Iterator[Progress]:
    """Yield a display on ``out`` (default: stdout) that suits it."""
    stream = out or sys.stdout
    if not stream.isatty():
        yield Lines(label, stream)
        return
    console = Console(file=stream, markup=False, highlight=False, emoji=False)
    words = TextColumn("{task.description}", markup=False)
    state = TextColumn("{task.fields[state]}", markup=False)
    columns = (SpinnerColumn(), words, BarColumn(bar_width=12), state, TimeElapsedColumn())
    with Bar(*columns, console=console) as bar:
        shown = Bars(label, bar)
        yield shown
        shown.end()


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
