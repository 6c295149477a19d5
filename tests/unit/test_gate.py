"""The gate: what keeps a run from counting, said in a sentence."""

from __future__ import annotations

import pytest

from harness.gate import why_not
from harness.model import Ideal
from harness.runtime import RunView
from harness.schedule import Point
from harness.watch import RunWatch


HELD = Point("a", "after_effect")
WAIT = Point("nap", "waiting")


def ideal() -> Ideal:
    """Return a run of two gathered steps, then a wait."""
    return Ideal(
        commands=frozenset({"step"}),
        steps=("a", "b"),
        waits=("nap",),
        before={"nap": ("a", "b")},
        groups={"a": "g", "b": "g"},
        owed=(),
        children=(),
        world={},
        output=None,
    )


def standing() -> RunWatch:
    """Return what is known of a run that stands at its point as it should."""
    watch = RunWatch(open={("w", 1)}, held=str(HELD), last_incarnation="w")
    watch.called = {("w", "a"), ("w", "b")}
    watch.acked = {("w", "b")}
    return watch


def test_passes() -> None:
    """A run with one open call, at its point, its siblings recorded, passes."""
    assert "" == why_not(HELD, 0, standing(), ideal(), None)


def test_elsewhere() -> None:
    """A run that stands elsewhere is told where."""
    watch = standing()
    watch.held = "b/before_effect#1"
    expected = "a/after_effect#1 was not reached, it stands at b/before_effect#1"
    assert expected == why_not(HELD, 0, watch, ideal(), None)


def test_two_open_calls() -> None:
    """A second open call does not pass."""
    watch = standing()
    watch.open.add(("w", 2))
    assert "2 calls are open" in why_not(HELD, 0, watch, ideal(), None)


def test_sibling_not_recorded() -> None:
    """A sibling that the runtime has not recorded yet does not pass, at any stage."""
    watch = standing()
    watch.acked.clear()
    for stage in (0, 1):
        assert "siblings of a/after_effect#1" in why_not(HELD, stage, watch, ideal(), None)


def test_second_attempt() -> None:
    """An attempt without a fault does not pass; after a first fault it may."""
    watch = standing()
    watch.attempts["w", "r/a"] = 2
    assert "a second attempt of r/a" in why_not(HELD, 0, watch, ideal(), None)
    assert "" == why_not(HELD, 1, watch, ideal(), None)


@pytest.mark.parametrize(
    ("status", "replied", "passes"),
    [
        ("waiting", {"a", "b"}, True),
        ("running", {"a", "b"}, False),
        ("waiting", {"a"}, False),
        (None, {"a", "b"}, False),
    ],
)
def test_waiting(status: str | None, replied: set[str], *, passes: bool) -> None:
    """A wait is reached when all before it is done and the runtime itself says so since."""
    view = RunView(run="r", status=status) if status else None
    why = why_not(WAIT, 0, RunWatch(replied=replied), ideal(), view)
    assert passes is (not why)
