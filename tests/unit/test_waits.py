"""How long a trial waits, and how often it asks while it does."""

from __future__ import annotations

import pytest

from harness import trial
from harness.runtime import RunView
from harness.trial import STILL_S, Looks, Stillness


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


def test_the_runtime_is_asked_less_often_while_nothing_moves(clock: list[float]) -> None:
    """Each second at first, each three after a minute, and at once again when something moves."""
    moved = [clock[0]]
    looks = Looks(lambda: moved[0], 1.0)

    def asked(for_s: int) -> int:
        found = 0
        for _ in range(for_s * 10):
            clock[0] += 0.1
            found += looks.due()[0]
        return found

    assert asked(10) in {9, 10}
    asked(50)
    assert asked(30) in {6, 7, 8, 9}
    assert (False, False) == looks.due()
    moved[0] = clock[0]
    assert looks.due()[1]
    assert asked(10) in {9, 10}
