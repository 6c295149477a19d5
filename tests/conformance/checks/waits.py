"""Sleeping and waiting: not shorter than asked, over deaths, and for the right event."""

from __future__ import annotations

from conformance.kit import Kit
from conformance.moments import UnknownError, apart, last_s, value
from conformance.programs import LONG_S, NAP_S

from harness.runtime import TERMINAL


WAITS_OR_ENDED = {"waiting", *TERMINAL}


def sleep(kit: Kit) -> None:
    """A sleep lasts as long as asked, whoever dies meanwhile, and ends once."""
    slept(kit)


def sleep_until(kit: Kit) -> None:
    """A sleep ends at its moment, not before; a moment that has passed is no sleep."""
    slept(kit)


def slept(kit: Kit) -> None:
    """Let one run sleep in peace, then break all that can be broken under another."""
    [calm] = kit.start({"calm": {}})
    assert "completed" == kit.end(calm).status
    long_enough(kit, calm)
    [run] = kit.start({"broken": {}})
    kit.until_replied("first", run)
    kit.until(lambda: kit.view(run).status in WAITS_OR_ENDED, f"{run} sleeps")
    if kit.view(run).terminal:
        long_enough(kit, run)
        msg = f"{run} woke before the runtime was seen to say that it sleeps"
        raise UnknownError(msg)
    kit.restart()
    assert "completed" == kit.end(run).status
    kit.quiet()
    for name in (calm, run):
        assert 1 == len(kit.calls("second", name))
    long_enough(kit, run)
    if kit.durable:
        assert 1 == len(kit.calls("first", run))


def long_enough(kit: Kit, run: str) -> None:
    """Assert that the second step came when the sleep was over, not before."""
    first, second = kit.events("reply", "first", run), kit.calls("second", run)
    assert apart(last_s(first), last_s(second), NAP_S)


def wait_for(kit: Kit) -> None:
    """A wait ends by its timeout, or by an event of its key for its run, and by no other."""
    [alone] = kit.start({"alone": {"patience_s": NAP_S}})
    a, b, c = kit.start({name: {"patience_s": LONG_S} for name in ("a", "b", "c")})
    view = kit.end(alone)
    assert ("completed", ["timeout", None]) == (view.status, view.output)
    long_enough(kit, alone)
    for run in (a, b, c):
        kit.until_replied("first", run)
    kit.send(a, "answer", "another's", 1)
    kit.send(a, "question", "mine", 2)
    # What was sent later has arrived.
    kit.send(c, "answer", "mine", 3)
    assert "completed" == kit.end(c).status
    kit.quiet()
    assert [] == [*kit.calls("second", a), *kit.calls("second", b)]
    kit.kill()
    kit.work()
    kit.send(a, "answer", "mine", {"yes": True})
    view = kit.end(a)
    assert ("completed", ["ok", {"yes": True}]) == (view.status, view.output)
    assert {"yes": True} == value(kit.calls("second", a)[0])
    kit.quiet()
    assert [] == kit.calls("second", b)
    assert not kit.view(b).terminal
    kit.cancel(b)


def signal(kit: Kit) -> None:
    """An event that comes before its run waits is kept for it; the first of a key counts."""
    [other] = kit.start({"other": {"patience_s": LONG_S}})
    [run] = kit.start({"early": {"patience_s": NAP_S * 3}}, ("first",))
    kit.until_replied("first", other)
    kit.until_held(run)
    kit.send(run, "answer", "mine", 1)
    kit.send(run, "answer", "mine", 2)
    # What was sent later has arrived: a busy engine may otherwise see them after the wait began.
    kit.send(other, "answer", "mine", 3)
    assert "completed" == kit.end(other).status
    kit.release(run, "first")
    view = kit.end(run)
    assert ("completed", ["ok", 1]) == (view.status, view.output)
    assert [1] == [value(call) for call in kit.calls("second", run)]
