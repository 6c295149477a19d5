"""What a policy makes of the runs that were asked for, moment by moment."""

from __future__ import annotations

from typing import Any

import pytest

from harness.policy import (
    Batch,
    CancelOn,
    Concurrency,
    Debounce,
    Dedupe,
    Policy,
    RateLimit,
    Singleton,
    Throttle,
    Where,
)
from runtimes.embedded.starts import Decision, Row, cancelled_by, decide


SCALE = 0.5
"""Real seconds for each of the policy's."""


def row(
    run: str, asked_s: float, began_s: float | None = None, *, ended: bool = False, **arg: Any
) -> Row:
    """Return a run with an arg of these fields."""
    return Row(run=run, arg=arg, asked_s=asked_s, began_s=began_s, ended=ended)


def said(now_s: float, *rows: Row, **policy: Any) -> Decision:
    """Return what is decided at a moment."""
    return decide(Policy(**policy), rows, now_s, SCALE)


def test_no_limit() -> None:
    """What nothing holds back begins, in the order of asking."""
    assert ["a", "b"] == said(9, row("a", 1), row("b", 2), row("c", 0, 1)).begin


def test_concurrency() -> None:
    """Runs in progress take places, ended ones give them back, each key has its own."""
    limit = Concurrency(limit=2, key="t")
    rows = [row("a", 0, 1, t=1), row("b", 0, 1, ended=True, t=1), row("z", 0, t=2)]
    waiting = [row(name, 2, t=1) for name in "cde"]
    found = said(9, *rows, *waiting, concurrency=limit)
    assert (["z", "c"], ["d", "e"], {}) == (found.begin, found.wait, found.drop)


def test_priority() -> None:
    """The highest goes first, of equals the earliest; without a number one is last."""
    rows = [row("x", 0), row("a", 1, p=1), row("b", 2, p=3), row("c", 3, p=3)]
    found = said(9, *rows, priority="p", concurrency=Concurrency(limit=2))
    assert ["b", "c"] == found.begin


def test_throttle() -> None:
    """The place of the oldest start in the period comes free when the period has passed."""
    rows = [row("a", 0, 10, ended=True), row("b", 0, 11, ended=True), row("c", 5), row("d", 6)]
    rule = Throttle(limit=2, period_s=8)
    now = said(12, *rows, throttle=rule)
    assert ([], ["c", "d"], 14) == (now.begin, now.wait, now.wake_s)
    assert (["c"], ["d"], 15) == (
        (later := said(14, *rows, throttle=rule)).begin,
        later.wait,
        later.wake_s,
    )


def test_rate_limit() -> None:
    """Who is over the limit is written off; what was written off counts for nothing."""
    rows = [row("a", 0, 10, ended=True), row("x", 0, ended=True), row("b", 1), row("c", 1)]
    found = said(12, *rows, rate_limit=RateLimit(limit=2, period_s=8))
    assert (["b"], ["c"]) == (found.begin, [*found.drop])
    assert ["b", "c"] == said(14, *rows, rate_limit=RateLimit(limit=2, period_s=8)).begin


def test_debounce() -> None:
    """The last of a burst begins after it, or when the first has waited long enough."""
    rule = Debounce(period_s=4, max_s=10, key="d")
    burst = [row("a", 10, d=1), row("b", 11, d=1), row("z", 11, d=2)]
    early = said(12, *burst, debounce=rule)
    assert ([], {"a", "b", "z"}, 13) == (early.begin, {*early.wait}, early.wake_s)
    late = said(13, *burst, debounce=rule)
    assert (["b", "z"], ["a"]) == (late.begin, [*late.drop])
    stream = [row(str(n), 10 + n, d=1) for n in range(5)]
    assert [] == said(14.5, *stream, debounce=rule).begin
    assert ["5"] == said(15, *stream, row("5", 15, d=1), debounce=rule).begin


def test_batch() -> None:
    """Enough make a batch at once; what is left over waits for the first one's patience."""
    rows = [row(name, asked_s, n=name) for name, asked_s in (("a", 1), ("b", 2), ("c", 3))]
    rule = Batch(size=2, wait_s=4)
    found = said(3, *rows, batch=rule)
    assert (["a"], ["b"], ["c"], 5) == (found.begin, [*found.drop], found.wait, found.wake_s)
    assert {"a": {"batch": [{"n": "a"}, {"n": "b"}]}} == found.args
    assert ["a", "c"] == said(5, *rows, batch=rule).begin


def test_singleton() -> None:
    """A second run of a key is skipped, or takes the first one's place."""
    rows = [row("a", 0, 1, k=1), row("b", 2, k=1), row("c", 3, k=1), row("z", 3, k=2)]
    skip = said(9, *rows, singleton=Singleton(key="k", mode="skip"))
    assert (["z"], ["b", "c"]) == (skip.begin, [*skip.drop])
    take = said(9, *rows, singleton=Singleton(key="k", mode="cancel"))
    assert (["c", "z"], ["a", "b"]) == (take.begin, [*take.drop])


def test_dedupe() -> None:
    """The same is dropped within the period after the one that ran, ended or not."""
    rows = [row("a", 0, 0, ended=True, k=1), row("b", 3, k=1), row("c", 4, k=1), row("d", 5, k=1)]
    found = said(9, *rows, dedupe=Dedupe(key="k", period_s=8))
    assert (["c"], ["b", "d"]) == (found.begin, [*found.drop])


def test_timeouts() -> None:
    """Who waits too long never begins, who works too long is stopped; its place is free."""
    rows = [row("a", 0, 10), row("b", 9), row("c", 12)]
    rules: dict[str, Any] = {"start_timeout_s": 8, "finish_timeout_s": 20}
    one = Concurrency(limit=1)
    early = said(12, *rows, concurrency=one, **rules)
    assert ({}, ["b", "c"], 13) == (early.drop, early.wait, early.wake_s)
    assert ["b"] == [*said(13, *rows, concurrency=one, **rules).drop]
    late = said(20, *rows[:1], row("d", 19), concurrency=one, finish_timeout_s=20)
    assert (["a"], ["d"], 30) == ([*late.drop], late.begin, late.wake_s)


@pytest.mark.parametrize(
    ("payload", "arg", "hit"),
    [
        ({"id": 1, "cost": 11}, {"id": 1}, True),
        ({"id": 1, "cost": 10}, {"id": 1}, False),
        ({"id": 1}, {"id": 1}, False),
        ({"id": 2, "cost": 11}, {"id": 1}, False),
        ({"cost": 11}, {}, False),
        (None, {"id": 1}, False),
    ],
)
def test_cancel_on(payload: Any, arg: Any, *, hit: bool) -> None:
    """Match and condition must both hold; a field that is not there matches nothing."""
    rules = (CancelOn(event="stop", match="id", where=Where(field="cost", op=">", value=10)),)
    assert hit is cancelled_by(rules, "stop", payload, arg)
    assert not cancelled_by(rules, "halt", payload, arg)
