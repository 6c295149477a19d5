"""Figures of a trial: pure functions of its history.

Recovery is published from single trials only; in a batch the runs wait for one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.history import Event
from harness.runtime import TERMINAL


def _seconds(later: Event, earlier: Event) -> float:
    return round((later.t_ns - earlier.t_ns) / 1e9, 4)


def cold_start(events: Sequence[Event]) -> dict[str, float] | None:
    """Return how long the first worker took to start, in seconds.

    ``ready_s`` from its spawn to its ready line, ``registered_s`` from there until it was
    attached, ``first_call_s`` and ``first_effect_s`` from the submission.
    ``None`` if the history does not show a whole start.
    """
    spawn = next((e for e in events if e.kind == "spawn" and "-b" not in e.data["pool"]), None)
    if spawn is None:
        return None
    who = spawn.data["incarnation"]

    def first(kind: str) -> Event | None:
        return next((e for e in events if e.kind == kind and e.data["incarnation"] == who), None)

    ready, attached, apply = first("ready"), first("attached"), first("apply")
    submit = next((e for e in events if e.kind == "submit"), None)
    call = first("call")
    if not (ready and attached and submit and call):
        return None
    return {
        "ready_s": _seconds(ready, spawn),
        "registered_s": _seconds(attached, ready),
        "first_call_s": _seconds(call, submit),
        "first_effect_s": _seconds(apply, submit) if apply else _seconds(call, submit),
    }


def recovery(events: Sequence[Event]) -> dict[str, float] | None:
    """Return seconds from the last fault to the first progress and to the run's end."""
    fault = next((e for e in reversed(events) if e.kind == "fault"), None)
    if fault is None:
        return None
    victims = {e.data["victim"] for e in events if e.kind == "fault"}
    progress = next(
        (
            e
            for e in events
            if e.index > fault.index
            and e.kind in {"call", "at"}
            and e.data["incarnation"] not in victims
        ),
        None,
    )
    end = next(
        (
            e
            for e in events
            if e.index > fault.index and e.kind == "view" and e.data["status"] in TERMINAL
        ),
        None,
    )
    found = {}
    if progress:
        found["progress_s"] = _seconds(progress, fault)
    if end:
        found["terminal_s"] = _seconds(end, fault)
    return found or None


def repeats(events: Sequence[Event]) -> int:
    """Return how many calls repeated a step that had been called before."""
    steps = [(e.run, e.data["step"]) for e in events if e.kind == "call"]
    return len(steps) - len(set(steps))


def stale_window_s(events: Sequence[Event]) -> float:
    """Return for how long the run was neither moving nor ended after its last fault (seconds)."""
    found = recovery(events)
    return float(found.get("progress_s", found.get("terminal_s", 0.0))) if found else 0.0


def usage(events: Sequence[Event]) -> dict[str, float]:
    """Return the CPU seconds of all processes that ended, and the largest of their peaks."""
    exits = [e.data for e in events if e.kind == "exit"]
    return {
        "cpu_s": round(sum(e["cpu_s"] for e in exits), 3),
        "peak_mb": round(max((e["peak_bytes"] for e in exits), default=0) / 1e6, 1),
    }


def of_run(events: Sequence[Event]) -> dict[str, Any]:
    """Return all figures of one run's history."""
    return {
        "cold_start": cold_start(events),
        "recovery": recovery(events),
        "repeats": repeats(events),
        "stale_window_s": stale_window_s(events),
        "usage": usage(events),
    }
