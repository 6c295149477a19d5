"""What of a sweep runs side by side: each world on each runtime, as columns of their own.

Most of a sweep is waiting, for timers by which an engine tells the dead from the living.  While
one waits another can work.  Columns of one engine have servers of their own, but they wait and
work at the same times, so that many of them at once only crowd each other.
"""

from __future__ import annotations

import threading

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from harness.effects import Guard
from harness.runtime import Runtime
from harness.sweep import Column, Request, Target
from harness.trial import StoppedError


ABREAST = 2
"""So many columns of one runtime at the same time, while there are others."""


def lanes(found: Mapping[str, Runtime], request: Request) -> list[tuple[str, Runtime, Request]]:
    """Return the columns to be: name, runtime and targets, the slowest to settle first.

    The targets of one world stay together, in their order.
    """
    worlds: dict[tuple[str, Guard], list[Target]] = {}
    for target in request.targets:
        worlds.setdefault((target.case.id, target.guard), []).append(target)
    requests = [replace(request, targets=tuple(group)) for group in worlds.values()]

    def settles_s(item: tuple[str, Runtime]) -> float:
        return float(item[1].settings(request.profile)["settle_s"])  # type: ignore[arg-type]

    ordered = sorted(found.items(), key=settles_s, reverse=True)
    return [(*item, one) for item in ordered for one in requests]


class Turns:
    """Which column comes next."""

    def __init__(self, columns: Sequence[Column]) -> None:
        """Begin with all of them waiting."""
        self._waiting, self._running = [*columns], Counter[str]()
        self._lock = threading.Lock()

    def take(self) -> Column | None:
        """Return the next one, or None if there is none left."""
        with self._lock:
            apart = (c for c in self._waiting if self._running[c.runtime.name] < ABREAST)
            column = next(apart, self._waiting[0] if self._waiting else None)
            if column:
                self._waiting.remove(column)
                self._running[column.runtime.name] += 1
            return column

    def give(self, column: Column) -> None:
        """Take note that a column has ended."""
        with self._lock:
            self._running[column.runtime.name] -= 1


def sweep_all(columns: Sequence[Column], jobs: int, stop: threading.Event) -> None:
    """Run columns, ``jobs`` at a time; the first error stops them all, and is raised."""
    turns = Turns(columns)

    def work() -> None:
        while column := turns.take():
            try:
                column.run()
            finally:
                turns.give(column)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures: list[Future[None]] = [pool.submit(work) for _ in range(jobs)]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        if any(future.exception() for future in done):
            stop.set()
    for future in futures:
        error = future.exception()
        if error and not isinstance(error, StoppedError):
            raise error
