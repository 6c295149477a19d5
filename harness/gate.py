"""The gate: a run must stand exactly where the fault is to come.

A loaded machine must not convict an engine: a second attempt that came without a fault, or
a sibling whose result is not recorded yet, would make a verdict that the fault did not
earn.  What does not pass is UNKNOWN.
"""

from __future__ import annotations

from harness.model import Ideal
from harness.runtime import RunView
from harness.schedule import WAITING, Point
from harness.watch import RunWatch


def why_not(point: Point, stage: int, watch: RunWatch, ideal: Ideal, view: RunView | None) -> str:
    """Return why a run does not stand at its point, or an empty string.

    ``view`` is what the runtime said since the run's last event, if anything.
    """
    if point.phase == WAITING:
        return _not_waiting(point, watch, ideal, view)
    if watch.held != str(point):
        where = f", it stands at {watch.held}" if watch.held else ""
        return f"{point} was not reached{where}"
    if len(watch.open) != 1:
        return f"{len(watch.open)} calls are open at {point}, not 1"
    group = ideal.groups.get(point.step)
    siblings = [name for name, other in ideal.groups.items() if group and other == group]
    missing = [name for name in siblings if name != point.step and not watch.recorded(name)]
    if missing:
        return f"siblings of {point} are not recorded yet: {', '.join(missing)}"
    twice = [call for (_, call), count in watch.attempts.items() if count > 1]
    if twice and not stage:  # after a first fault a step may well have been called again
        return f"a second attempt of {twice[0]} was seen before the fault"
    return ""


def _not_waiting(point: Point, watch: RunWatch, ideal: Ideal, view: RunView | None) -> str:
    missing = [step for step in ideal.before.get(point.step, ()) if step not in watch.replied]
    if missing or watch.open or view is None:
        return f"{point} was not reached"
    if view.status != "waiting":
        return f"{point} was not reached: the runtime says {view.status}"
    return ""
