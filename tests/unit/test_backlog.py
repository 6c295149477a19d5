"""A backlog fares well only if each of its runs ended, whole, and once."""

from __future__ import annotations

from typing import Any

import pytest

from harness.backlog import drain, fared
from harness.history import Event
from harness.suite import case


CASE = case("fan_out[O]")
RUN = "t-q0000"
ONCE = ("charge", "ship", "announce")
SECOND_NS = 1_000_000_000


def history(*effects: str, status: str = "completed", moves: str = "no") -> list[Event]:
    """Return what a run of the backlog did after the kill."""
    lines: list[tuple[str, str, dict[str, Any]]] = [("fault", "", {"victim": "w", "stage": 0})]
    lines += [("apply", RUN, {"step": s, "effect": "irreversible"}) for s in effects]
    lines += [("apply", RUN, {"step": "close_order", "effect": "idempotent"})]
    lines += [("view", RUN, {"status": status, "moves": moves})]
    return [Event(i, i * SECOND_NS, *line) for i, line in enumerate(lines)]


def outcome(events: list[Event]) -> tuple[str, str]:
    """Return how the backlog of one run fared, and why."""
    (found,) = fared([RUN], CASE, events)
    assert "backlog of 1" == found["name"]
    return found["outcome"], found["why"]


def test_whole() -> None:
    """Every effect once and an end: nothing to say."""
    assert ("ok", "") == outcome(history(*ONCE))
    assert [] == fared([], CASE, [])


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (history(*ONCE, "ship"), ("violated", f"{RUN} has ship of {RUN} twice")),
        (history("charge", "ship"), ("violated", f"{RUN} has no announce")),
        (history(*ONCE, status="failed"), ("violated", f"{RUN} ended failed")),
        (history(status="queued"), ("violated", f"{RUN} is queued")),
        (history(status="queued", moves="yes"), ("unknown", f"{RUN} is queued")),
        ([], ("unknown", f"{RUN} is unknown")),
    ],
    ids=["twice", "absent", "failed", "stands", "moves", "never seen"],
)
def test_not_whole(events: list[Event], expected: tuple[str, str]) -> None:
    """What is lost, twice, or never ended is named; what still moves is not known."""
    assert expected == outcome(events)


def test_drain() -> None:
    """The drain lasts from the kill to the last end; while one is missing there is no figure."""
    assert {"backlog": 1.0, "drain_s": 5.0} == drain([RUN], history(*ONCE))
    assert {} == drain([RUN], history(*ONCE, status="running"))
    assert {} == drain([], history(*ONCE))
