"""A runtime that says nothing moves is taken at its word, when it has said so long enough."""

from __future__ import annotations

import pytest

from harness import trial
from harness.runtime import RunView
from harness.trial import STILL_S, Stillness


STILL = RunView(run="r", status="running", moves="no")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a clock that stands; its only element is its time (seconds)."""
    now = [100.0]
    monkeypatch.setattr(trial.time, "monotonic", lambda: now[0])
    return now


def test_it_must_be_said_for_long_enough(clock: list[float]) -> None:
    """Not at once, and at the end of the time."""
    still = Stillness()
    assert not still.of([STILL, STILL])
    clock[0] += STILL_S - 0.1
    assert not still.of([STILL, STILL])
    clock[0] += 0.2
    assert still.of([STILL, STILL])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(None, id="nobody has looked"),
        pytest.param(RunView(run="r", status="running", moves="yes"), id="moves"),
        pytest.param(RunView(run="r", status="running", moves="unknown"), id="cannot be told"),
    ],
)
def test_one_that_may_move_starts_it_anew(clock: list[float], other: RunView | None) -> None:
    """One of many, once: the time begins again."""
    still = Stillness()
    assert not still.of([STILL])
    clock[0] += STILL_S + 1
    assert not still.of([STILL, other])
    assert not still.of([STILL])
    clock[0] += STILL_S - 0.1
    assert not still.of([STILL])
    clock[0] += 0.2
    assert still.of([STILL])
