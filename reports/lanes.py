"""The lanes of a timeline, and its scale: events to pixels."""

from __future__ import annotations

import bisect
import math

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from harness.history import Event


LEFT, HEAD, LABELS, ROW = 132.0, 46.0, 78.0, 15.0
STEP = 14.0


@dataclass(slots=True)
class Warp:
    """Events to pixels: a step for each, and more for a longer gap before it."""

    start_ns: int
    times: list[int]
    places: list[float]

    @classmethod
    def of(cls, events: Sequence[Event]) -> Warp:
        """Return the scale of a history."""
        times: list[int] = []
        places: list[float] = []
        at = LEFT + 10
        for event in events:
            gap = (event.t_ns - times[-1]) / 1e9 if times else 0.0
            at += (STEP + 6.0 * math.log1p(gap * 1_000)) if times else 0.0
            times.append(event.t_ns)
            places.append(at)
        return cls(times[0], times, places)

    def __call__(self, event: Event | None) -> float:
        """Return where an event stands; the right edge for one that never came."""
        if event is None:
            return self.places[-1] + STEP
        return self.places[min(bisect.bisect_left(self.times, event.t_ns), len(self.places) - 1)]

    def seconds(self, event: Event) -> float:
        """Return the time of an event since the start."""
        return (event.t_ns - self.start_ns) / 1e9


@dataclass(slots=True)
class Lane:
    """A band of the picture, with what is drawn in it."""

    name: str
    top: float = 0.0
    rows: int = 1
    labels: bool = True
    note: str = ""
    parts: list[Markup] = field(default_factory=list)

    @property
    def height(self) -> float:
        """Return its height."""
        return (LABELS if self.labels else 8.0) + self.rows * ROW + 6

    def row(self, index: int) -> float:
        """Return the top of one of its rows."""
        return self.top + self.height - (index + 1) * ROW - 4
