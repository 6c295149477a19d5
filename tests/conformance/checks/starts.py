"""Whether and when what was asked for begins."""

from __future__ import annotations

import time

from conformance.kit import Kit
from conformance.moments import apart, first_s, sooner, value
from conformance.programs import (
    BATCH_S,
    DEBOUNCE_MAX_S,
    DEBOUNCE_S,
    LONG_S,
    PACE_COARSE_S,
    PACE_S,
    RATE_S,
    SCALE,
)

from harness.deadline import Deadline, DeadlineError, wait_until


def throttle(kit: Kit) -> str:
    """Two runs begin at once at most, the others at a pace of two in a period, and none is lost.

    A limiter may spread them over the period.  A period may be shorter by one step of the clock
    by which the runtime counts.
    """
    pace_s = PACE_COARSE_S - kit.clock_s / SCALE if kit.clock_s else PACE_S
    asked_s = time.monotonic()
    runs = kit.start({f"r{n}": {"n": n} for n in range(5)})
    assert {"completed"} == kit.ends(runs)
    calls = kit.calls("work")
    assert 5 == len(calls)
    # A call may come late after its start, so the only sure bound counts from the asking.
    later = [(n - 1) / 2 * pace_s if n > 1 else 0.0 for n in range(5)]
    paced = [apart(asked_s, first_s([c]), at_s) for c, at_s in zip(calls, later, strict=True)]
    assert all(paced), f"{paced.count(False)} of {len(paced)} came too early"
    return f"it counts time by {kit.clock_s:g} s" if kit.clock_s else ""


def rate_limit(kit: Kit) -> None:
    """Two runs begin in a period, at once or spaced; the others have an end, or wait for nothing.

    A limiter may spread them over the period, so the second place is asked for twice.
    """
    began_s = time.monotonic()
    runs = kit.start({f"r{n}": {"n": n} for n in range(5)})
    kit.until_called("work")
    kit.quiet()
    assert len(_ran(kit)) <= 2
    half_s = began_s + RATE_S * SCALE * 0.6
    kit.until(lambda: time.monotonic() >= half_s, "more than half of the period is over")
    runs += kit.start({"late": {"n": 5}})
    kit.until_called("work", 2)
    kit.quiet()
    ran = _ran(kit)
    sooner(began_s, RATE_S, "asking")
    assert 2 == len(ran) == len(set(ran))
    assert {"completed"} == kit.ends(ran)
    rest = [kit.view(run).status for run in runs if run not in ran]
    assert not set(rest) & {"completed", "running", "retrying"}


def _ran(kit: Kit) -> list[str]:
    return [call.run for call in kit.calls("work")]


def debounce(kit: Kit) -> None:
    """Of a burst the last one runs, once it is over."""
    for n in (1, 2, 3, 4):
        asked_s = time.monotonic()
        [last] = kit.start({f"burst{n}": {"doc": "burst", "n": n}})
        sooner(asked_s, DEBOUNCE_S / 2, "asking once")
    kit.end(last)
    kit.quiet()
    assert [4] == [value(call)["n"] for call in kit.calls("note")]
    assert apart(asked_s, first_s(kit.calls("note")), DEBOUNCE_S)


def debounce_max(kit: Kit) -> None:
    """A stream without end puts its run off, but not for ever."""
    began_s, sent = time.monotonic(), 0
    while not kit.calls("note"):
        asked_s, sent = time.monotonic(), sent + 1
        kit.start({f"stream{sent}": {"doc": "stream", "n": sent}})
        assert not apart(began_s, time.monotonic(), DEBOUNCE_MAX_S * 5), "nothing ran of a stream"
        try:
            wait_until(
                lambda: bool(kit.calls("note")), Deadline.after(DEBOUNCE_S * SCALE / 4), "pace"
            )
        except DeadlineError:
            sooner(asked_s, DEBOUNCE_S, "asking again")
    assert apart(began_s, first_s(kit.calls("note")), DEBOUNCE_S), "it is not put off"
    assert sent > 1


def batch(kit: Kit) -> None:
    """Three make a batch, what is left over makes one after a while; its id is the first's.

    What is asked for in one call has no order: any three may be the full batch.
    """
    asked_s = time.monotonic()
    runs = kit.start({f"r{n}": n for n in range(5)})
    sooner(asked_s, BATCH_S, "asking")
    kit.until_called("note", 2)
    kit.quiet()
    calls = kit.calls("note")
    assert 2 == len(calls)
    full, rest = calls
    for call, size in ((full, 3), (rest, 2)):
        assert isinstance(value(call), dict), "it runs each by itself"
        assert size == len(value(call)["batch"])
        assert call.run == runs[value(call)["batch"][0]]
        end = kit.end(call.run)
        assert ("completed", value(call)) == (end.status, end.output)
    assert {*range(5)} == {*value(full)["batch"], *value(rest)["batch"]}
    assert apart(asked_s, first_s([rest]), BATCH_S)


def singleton_skip(kit: Kit) -> None:
    """While a run of a key is in progress, another one of that key never runs."""
    first, other = kit.start({"first": {"user": 1}, "other": {"user": 2}}, ("first",))
    kit.until_held(first, other)
    [second] = kit.start({"second": {"user": 1}})
    kit.quiet()
    assert {first, other} == set(kit.held())
    for run in (first, other):
        kit.release(run, "first")
    assert {"completed"} == kit.ends([first, other])
    kit.quiet()
    assert [] == kit.calls("first", second)
    [third] = kit.start({"third": {"user": 1}})
    assert "completed" == kit.end(third).status


def singleton_cancel(kit: Kit) -> None:
    """A second run of a key takes the place of the one in progress, and of no other."""
    first, other = kit.start({"first": {"user": 1}, "other": {"user": 2}}, ("first",))
    kit.until_held(first, other)
    [second] = kit.start({"second": {"user": 1}})
    assert "cancelled" == kit.end(first).status
    for run in (first, other):
        kit.release(run, "first")
    assert {"completed"} == kit.ends([second, other])
    kit.quiet()
    assert [] == kit.calls("second", first)


def idempotent_start(kit: Kit) -> None:
    """A run that is asked for again, in progress or ended, is one run: the first."""
    [run] = kit.start({"once": {"n": 1}}, ("note",))
    kit.until_held(run)
    kit.start({"once": {"n": 2}})
    kit.quiet()
    kit.release(run, "note")
    assert {"n": 1} == kit.end(run).output
    kit.start({"once": {"n": 3}})
    kit.quiet()
    assert {"n": 1} == kit.end(run).output
    assert [{"n": 1}] == [value(call) for call in kit.calls("note")]


def dedupe(kit: Kit) -> None:
    """Within the period after a start the same never runs again, even if the first has ended."""
    began_s = time.monotonic()
    [first] = kit.start({"first": {"order": 5}})
    assert "completed" == kit.end(first).status
    again, other = kit.start({"again": {"order": 5}, "other": {"order": 6}})
    assert "completed" == kit.end(other).status
    kit.quiet()
    sooner(began_s, LONG_S, "asking")
    assert [] == kit.calls("work", again)
    assert [first, other] == [call.run for call in kit.calls("work")]
