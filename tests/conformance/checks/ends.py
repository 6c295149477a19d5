"""Ends that do not come from the body: cancelled, or out of time."""

from __future__ import annotations

import time

from conformance.kit import Kit
from conformance.moments import apart, sooner
from conformance.programs import LIMIT_S

from harness.effects import Json


ENDED = {"cancelled", "failed"}


def stopped(kit: Kit, run: str) -> None:
    """Assert that a run has ended for good: its held call, let go, leads to no further one."""
    kit.release(run, "first")
    kit.quiet()
    assert [] == kit.calls("second", run)
    assert kit.view(run).status in ENDED


def cancel(kit: Kit) -> None:
    """A cancelled run does nothing more and says so; its neighbour knows nothing of it."""
    run, other = kit.start({"run": {}, "other": {}}, ("first", 1))
    kit.until_held(run, other)
    kit.cancel(run)
    assert "cancelled" == kit.end(run).status
    stopped(kit, run)
    kit.release(other, "first")
    assert "completed" == kit.end(other).status
    kit.kill()
    kit.work()
    stopped(kit, run)


def cancel_on(kit: Kit) -> None:
    """An event cancels the runs that match it, if it meets the condition, and no others."""
    orders: dict[str, Json] = {"one": {"order": 0}, "two": {"order": 1}, "free": {"order": 2}}
    one, two, free = kit.start(orders, ("first",))
    kit.until_held(one, two, free)
    kit.publish("stop", "cheap", {"order": 0, "cost": 10})
    kit.publish("halt", "another", {"order": 0, "cost": 11})
    kit.publish("stop", "dear", {"order": 1, "cost": 11})
    assert "cancelled" == kit.end(two).status
    kit.quiet()
    assert {one, free} <= set(kit.held())
    stopped(kit, two)
    for run in (one, free):
        kit.release(run, "first")
    assert {"completed"} == kit.ends([one, free])


def cancel_previous(kit: Kit) -> None:
    """The event that starts a run cancels the earlier one of its key, and not itself."""
    old = kit.publish("ordered", "k1", {"order": 7}, "first")["limited"]
    other = kit.publish("ordered", "k2", {"order": 8}, "first")["limited"]
    kit.until_held(old, other)
    new = kit.publish("ordered", "k3", {"order": 7})["limited"]
    assert "cancelled" == kit.end(old).status
    assert "completed" == kit.end(new).status
    stopped(kit, old)
    kit.release(other, "first")
    assert "completed" == kit.end(other).status


def start_timeout(kit: Kit) -> None:
    """A run that could not begin in time never does; one that began is not concerned."""
    [busy] = kit.start({"busy": {}}, ("first",))
    kit.until_held(busy)
    asked_s = time.monotonic()
    [late] = kit.start({"late": {}})
    assert kit.end(late).status in ENDED
    assert apart(asked_s, time.monotonic(), LIMIT_S)
    kit.release(busy, "first")
    assert "completed" == kit.end(busy).status
    kit.quiet()
    assert [] == kit.calls("first", late)


def finish_timeout(kit: Kit) -> None:
    """A run that does not end in time is ended, not before; one that does is not concerned."""
    asked_s = time.monotonic()
    [slow] = kit.start({"slow": {}}, ("first",))
    kit.until_held(slow)
    quick_s = time.monotonic()
    [quick] = kit.start({"quick": {}})
    kit.end(quick)
    sooner(quick_s, LIMIT_S, "a quick run")
    assert "completed" == kit.view(quick).status
    assert kit.end(slow).status in ENDED
    assert apart(asked_s, time.monotonic(), LIMIT_S)
    stopped(kit, slow)
