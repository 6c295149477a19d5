"""Figures of a run, from literal histories with literal times."""

from __future__ import annotations

from typing import Any

import pytest

from harness import metrics
from harness.history import Event


def history(*lines: tuple[float, str, dict[str, Any]]) -> list[Event]:
    """Return a history of lines at moments in seconds."""
    return [
        Event(index, int(at_s * 1e9), kind, "r", data)
        for index, (at_s, kind, data) in enumerate(lines)
    ]


def by(who: str, **more: Any) -> dict[str, Any]:
    """Return data of an incarnation."""
    return {"incarnation": who, "step": "s", **more}


START = [
    (0.5, "spawn", by("b1", pool="t-b")),
    (1.0, "spawn", by("w1", pool="t")),
    (1.25, "ready", by("w1")),
    (1.5, "attached", by("w1")),
    (2.0, "submit", {}),
    (2.1, "call", by("b1")),
    (2.5, "call", by("w1")),
]
VIEW = {"status": "completed"}


def test_cold_start() -> None:
    """Each part of the first worker's start is told apart; bystanders do not count."""
    assert {
        "ready_s": 0.25,
        "registered_s": 0.25,
        "first_call_s": 0.5,
        "first_effect_s": 1.0,
    } == metrics.cold_start(history(*START, (3.0, "apply", by("w1"))))


def test_cold_start_without_effect() -> None:
    """A run that only reads has its first call for an effect."""
    found = metrics.cold_start(history(*START))
    assert found is not None
    assert 0.5 == found["first_call_s"] == found["first_effect_s"]


@pytest.mark.parametrize("missing", ["spawn", "ready", "attached", "submit", "call"])
def test_cold_start_that_is_not_whole(missing: str) -> None:
    """A start of which a part is not in the history has no figures."""
    assert metrics.cold_start(history(*(line for line in START if line[1] != missing))) is None


def test_recovery() -> None:
    """Recovery counts from the last fault to another's progress, and to the end."""
    events = history(
        (1.0, "fault", {"victim": "w1"}),
        (2.0, "fault", {"victim": "w2"}),
        (2.5, "call", by("w1")),
        (3.0, "call", by("w3")),
        (3.5, "view", {"status": "running"}),
        (4.0, "view", VIEW),
    )
    assert {"progress_s": 1.0, "terminal_s": 2.0} == metrics.recovery(events)
    assert metrics.stale_window_s(events) == 1.0


def test_recovery_without_progress() -> None:
    """A run that ended without another call has only its end."""
    events = history((1.0, "fault", {"victim": "w1"}), (1.5, "view", VIEW))
    assert {"terminal_s": 0.5} == metrics.recovery(events)
    assert metrics.stale_window_s(events) == 0.5


def test_no_recovery() -> None:
    """Without a fault, or without anything after it, there is no recovery."""
    assert metrics.recovery(history((1.0, "view", VIEW))) is None
    assert metrics.recovery(history((1.0, "fault", {"victim": "w1"}))) is None
    assert metrics.stale_window_s([]) == 0.0


def test_repeats() -> None:
    """A call of a step that was called before is a repeat, whoever makes it."""
    calls = [(0.0, "call", by("w1")), (1.0, "call", by("w2")), (2.0, "call", {"step": "t"})]
    assert metrics.repeats(history(*calls)) == 1
    assert metrics.repeats([]) == 0


def test_usage() -> None:
    """CPU is summed, memory is the largest peak."""
    events = history(
        (1.0, "exit", {"cpu_s": 0.25, "peak_bytes": 30_000_000}),
        (2.0, "exit", {"cpu_s": 0.5, "peak_bytes": 20_000_000}),
    )
    assert {"cpu_s": 0.75, "peak_mb": 30.0} == metrics.usage(events)
    assert {"cpu_s": 0, "peak_mb": 0.0} == metrics.usage([])


def test_of_run() -> None:
    """A run has all figures, those that it does not show as none."""
    assert {
        "cold_start": None,
        "recovery": None,
        "repeats": 0,
        "stale_window_s": 0.0,
        "usage": {"cpu_s": 0, "peak_mb": 0.0},
    } == metrics.of_run([])
