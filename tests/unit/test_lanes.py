"""What of a sweep runs side by side, and in which order."""

from __future__ import annotations

import threading

from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.effects import Guard
from harness.lanes import Turns, lanes, sweep_all
from harness.suite import targets
from harness.sweep import Request
from harness.trial import StoppedError


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime that is only named, and says how long it takes to settle."""

    name: str
    settle_s: float = 1.0

    def settings(self, profile: str) -> dict[str, float]:
        del profile
        return {"settle_s": self.settle_s}


@dataclass(slots=True, eq=False)
class Column:
    """A column that does as it is told."""

    runtime: Runtime
    act: Any = field(default=lambda: None)

    def run(self) -> None:
        self.act()


SLOW, QUICK = Runtime("slow", 90.0), Runtime("quick")


def columns(*runtimes: Runtime) -> list[Any]:
    """Return a column for each."""
    return [Column(runtime) for runtime in runtimes]


def test_each_world_on_each_runtime() -> None:
    """The slowest to settle first; what belongs to one world stays together and in order."""
    request = Request(targets=targets("standard", [], [], ""))
    found: Any = {"quick": QUICK, "slow": SLOW}
    made = lanes(found, request)
    assert [SLOW] * 4 + [QUICK] * 4 == [runtime for _, runtime, _ in made]
    for own in (made[:4], made[4:]):
        assert request.targets == tuple(t for _, _, one in own for t in one.targets)
    (whole,) = lanes({"slow": SLOW}, Request(targets=targets("finalization", [], [], "")))  # type: ignore[dict-item]
    assert 11 == len(whole[2].targets)
    assert {Guard.NONE} == {target.guard for target in whole[2].targets}


def test_two_of_one_runtime_and_then_others() -> None:
    """While there are others; when there are none, more of the same."""
    turns = Turns(columns(SLOW, SLOW, SLOW, QUICK, SLOW))
    taken = [turns.take() for _ in range(4)]
    assert [SLOW, SLOW, QUICK, SLOW] == [one and one.runtime for one in taken]
    assert taken[2]
    turns.give(taken[2])
    last = turns.take()
    assert last
    assert SLOW == last.runtime
    assert turns.take() is None


def test_who_has_ended_makes_room() -> None:
    """Its place is for the next of the same runtime."""
    turns = Turns(columns(SLOW, SLOW, SLOW, QUICK))
    first = turns.take()
    turns.take()
    assert first
    turns.give(first)
    third = turns.take()
    assert third
    assert SLOW == third.runtime


def test_all_are_run() -> None:
    """Each once, whatever the number of jobs."""
    for jobs in (1, 3, 20):
        ran: list[Column] = []
        all_: list[Any] = columns(*[SLOW] * 5, *[QUICK] * 5)
        for one in all_:
            one.act = lambda one=one, ran=ran: ran.append(one)
        sweep_all(all_, jobs, threading.Event())
        assert {id(one) for one in all_} == {id(one) for one in ran}
        assert 10 == len(ran)


def test_the_first_error_stops_them_all() -> None:
    """And is what is raised; those that were stopped say nothing."""
    stop, ran = threading.Event(), []

    def fail() -> None:
        msg = "the disk is full"
        raise OSError(msg)

    def waits() -> None:
        ran.append(1)
        assert stop.wait(30)
        raise StoppedError

    all_: list[Any] = [Column(SLOW, waits), Column(QUICK, fail), Column(SLOW, waits)]
    with pytest.raises(OSError, match="the disk is full"):
        sweep_all(all_, 2, stop)
    assert [1] == ran
