"""What a load is: who asks for runs, how many, when; and what became of each.

A *closed* phase keeps a number of runs in flight: each place asks for the next run when its
last is done.  It tells the steady throughput, and nothing of latency: where the runtime
stalls, it asks for less.  An *open* phase asks by a timetable, whether the runtime keeps up or
not.  Latency is counted from the intended start, so a stall is charged to every run that
should have begun in it: no coordinated omission.

All times are of ``CLOCK_MONOTONIC`` in nanoseconds, which all processes of a machine share.
"""

from __future__ import annotations

import statistics

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from harness.process import Address, WorkerSpec


WARM = 0.2
"""The part of a phase whose latencies do not count: it begins with nothing in flight."""


class Mode(StrEnum):
    """How runs are asked for."""

    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One phase: ``rate`` (runs per second) is the timetable's, of an open phase only."""

    mode: Mode
    in_flight: int
    duration_s: float
    rate: float = 0.0


class Driver(Protocol):
    """The load generator: a process that asks the harness's port for runs.

    It sends ``POST /begin`` once all its places stand ready, and gets ``{"began_ns"}``.  It
    sends ``POST /order`` with ``{"intended_ns"}`` for each run, and gets ``{"done",
    "first_effect_ns", "done_ns"}`` once the run's work is done.  It ends by itself.
    """

    name: str

    def version(self) -> str:
        """Return its version.

        Raises:
            RuntimeUnavailableError: it is not installed.

        """
        ...

    def spec(self, port: Address, demand: Demand) -> WorkerSpec:
        """Return how to start it for one phase."""
        ...


@dataclass(slots=True, kw_only=True)
class Order:
    """One run that was asked for; 0 where something has not happened."""

    run: str
    intended_ns: int
    submitted_ns: int = 0
    accepted_ns: int = 0
    first_effect_ns: int = 0
    done_ns: int = 0
    calls: int = 0
    status: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the order as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What a phase showed: its orders, when it began and ended, and what was used meanwhile.

    It ends when all that was asked for is done.  ``steps`` is how many a run has.  ``cpu_s`` and
    ``peak_bytes`` are by process, ``harness_cpu_s`` is the world's and the port's.  ``load`` are
    the machine's load averages at the end.
    """

    runtime: str
    round: int
    demand: Demand
    began_ns: int
    ended_ns: int
    orders: Sequence[Order] = field(repr=False)
    steps: int
    cpu_s: Mapping[str, float]
    peak_bytes: Mapping[str, int]
    harness_cpu_s: float
    load: Sequence[float]

    @property
    def took_s(self) -> float:
        """Return the length of the phase in seconds, with its draining."""
        return (self.ended_ns - self.began_ns) / 1e9

    @property
    def closing_ns(self) -> int:
        """Return after which moment nothing was asked for any more."""
        return self.began_ns + int(self.demand.duration_s * 1e9)

    @property
    def per_s(self) -> float:
        """Return the throughput in runs per second.

        Of a closed phase it is the places divided by the mean time that a run holds one: right
        too where all places move in step, and a window would see a wave of ends, or none.  Of
        an open phase it is what was done before the timetable's end, over its length.
        """
        done = [order for order in self.orders if order.done_ns]
        if self.demand.mode is Mode.OPEN:
            return sum(o.done_ns < self.closing_ns for o in done) / self.demand.duration_s
        held_s = [(order.done_ns - order.intended_ns) / 1e9 for order in done]
        return self.demand.in_flight / statistics.mean(held_s) if held_s else 0.0

    @property
    def incomplete(self) -> int:
        """Return how many runs the runtime does not call completed after the settling."""
        return sum(order.status != "completed" for order in self.orders)

    @property
    def repeats(self) -> int:
        """Return how many calls repeated a step, with no fault at all."""
        return sum(max(0, order.calls - self.steps) for order in self.orders)

    @property
    def counted(self) -> list[Order]:
        """Return the orders whose latency counts: those after the start-up of the phase."""
        from_ns = self.began_ns + int(WARM * self.demand.duration_s * 1e9)
        return [order for order in self.orders if order.intended_ns >= from_ns]

    @property
    def first_effect_s(self) -> list[float]:
        """Return seconds from intended start to first effect."""
        return [
            (order.first_effect_ns - order.intended_ns) / 1e9
            for order in self.counted
            if order.first_effect_ns
        ]

    @property
    def submit_s(self) -> list[float]:
        """Return seconds from intended start until the runtime had taken the run."""
        return [
            (order.accepted_ns - order.intended_ns) / 1e9
            for order in self.counted
            if order.accepted_ns
        ]

    @property
    def mean_in_flight(self) -> float:
        """Return how many runs were in flight on average while runs were asked for."""
        begin, end = self.began_ns, self.closing_ns
        total = sum(
            max(0, min(order.done_ns or end, end) - max(order.intended_ns, begin))
            for order in self.orders
        )
        return total / (end - begin)

    def to_json(self) -> dict[str, Any]:
        """Return what ``load.json`` says of the phase."""
        submit = self.submit_s
        return {
            "runtime": self.runtime,
            "round": self.round,
            "mode": str(self.demand.mode),
            "in_flight": self.demand.in_flight,
            "offered_per_s": round(self.demand.rate, 3),
            "took_s": round(self.took_s, 3),
            "orders": len(self.orders),
            "per_s": round(self.per_s, 3),
            "incomplete": self.incomplete,
            "repeats": self.repeats,
            "mean_in_flight": round(self.mean_in_flight, 2),
            "first_effect_s": [round(value, 5) for value in self.first_effect_s],
            "submit_median_s": round(statistics.median(submit), 5) if submit else None,
            "cpu_s": {name: round(value, 3) for name, value in self.cpu_s.items()},
            "peak_mb": {name: round(value / 1e6, 1) for name, value in self.peak_bytes.items()},
            "harness_cpu_s": round(self.harness_cpu_s, 3),
            "load": [round(value, 2) for value in self.load],
        }
