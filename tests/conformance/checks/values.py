"""What a step answers, and what is drawn once: kept over a death, counted exactly."""

from __future__ import annotations

from itertools import pairwise

from conformance.kit import Kit
from conformance.moments import apart, last_s, value
from conformance.programs import PRICE, RETRY_FACTOR, RETRY_FIRST_S, STEP_TIMEOUT_S


DEATHS = {
    3: "deaths count as attempts",
    4: "deaths do not count as attempts",
    5: "a death begins the count anew",
}
"""What the number of calls says, see `deaths`."""


def step(kit: Kit) -> str | None:
    """A completed step is not called again after a death, and its answer is the recorded one."""
    [run] = kit.start({"buy": {}}, ("second",))
    kit.until_held(run)
    kit.stand.bench.world.drift(kit.pool, "price", PRICE + 1)
    kit.kill()
    kit.work()
    view = kit.end(run)
    first, second = kit.calls("first"), kit.calls("second")
    price = PRICE if kit.durable else PRICE + 1
    assert ("completed", price) == (view.status, view.output)
    assert price == value(second[-1])
    assert (1 if kit.durable else 2) == len(first)
    assert 2 == len(second)
    return None if kit.durable else "nothing is kept: after a death the run begins again"


def retry(kit: Kit) -> str:
    """Lost replies are met with the asked number of attempts, further and further apart.

    Engines differ in what a death does to that count, which is told and is no failure.
    """
    [lost] = kit.start({"lost-once": {}}, ("work",))
    [spent] = kit.start({"spent": {}}, ("work", 1, 2, 3))
    kit.until_held(lost)
    kit.release(lost, "work", 1, "drop")
    for nth in (1, 2, 3):
        until_tried(kit, spent, nth)
        kit.release(spent, "work", nth, "drop")
    assert ("completed", "failed") == (kit.end(spent).status, kit.view(spent).output)
    assert ("completed", "ok") == (kit.end(lost).status, kit.view(lost).output)
    kit.quiet()
    assert 3 == len(kit.calls("work", spent))
    assert 2 == len(kit.calls("work", lost))
    ends = kit.events("discard", "work", spent)
    for nth, (end, call) in enumerate(zip(ends, kit.calls("work", spent)[1:], strict=False)):
        assert apart(last_s([end]), last_s([call]), RETRY_FIRST_S * RETRY_FACTOR**nth)
    return deaths(kit)


def deaths(kit: Kit) -> str:
    """Return what the death of a worker does to the count of attempts.

    Of three attempts the first is an error and the second dies.  Then the count ends with one
    more call where deaths count, with two where they do not, with three where it begins anew.
    """
    [run] = kit.start({"dies": {}}, ("work", 1, 2, 3, 4, 5))
    kit.until_held(run)
    kit.release(run, "work", 1, "drop")
    until_tried(kit, run, 2)
    kit.kill()
    kit.work()
    for nth in (3, 4, 5):
        until_tried(kit, run, nth, or_ended=nth > 3)
        kit.release(run, "work", nth, "drop")
    assert ("completed", "failed") == (kit.end(run).status, kit.view(run).output)
    kit.quiet()
    calls = len(kit.calls("work", run))
    assert calls in DEATHS, f"{calls} calls of a step with 3 attempts, one of which died"
    return DEATHS[calls]


def until_tried(kit: Kit, run: str, nth: int, *, or_ended: bool = False) -> None:
    """Wait until the n-th attempt of a step is held, or will never be."""
    point = f"work/before_effect#{nth}"
    kit.until(
        lambda: point in points(kit, run) or (or_ended and kit.view(run).terminal),
        f"attempt {nth} is held",
    )


def points(kit: Kit, run: str) -> list[str]:
    """Return the points at which a run was held."""
    return [e.data["point"] for e in kit.history if e.kind == "held" and e.run == run]


def step_timeout(kit: Kit) -> None:
    """A call that is not answered in time is given up and attempted again, not before."""
    [run] = kit.start({"slow": {}}, ("work",))
    kit.until_called("work", 2, run)
    view = kit.end(run)
    assert ("completed", "ok") == (view.status, view.output)
    kit.release(run, "work", 1)
    kit.quiet()
    calls = kit.calls("work", run)
    assert 2 == len(calls)
    assert all(apart(last_s([a]), last_s([b]), STEP_TIMEOUT_S) for a, b in pairwise(calls))


def gather(kit: Kit) -> None:
    """Commands run side by side, answer in order, and those that are done stay done."""
    for side in ("left", "middle", "right"):
        kit.hold(kit.run("sides"), side, 1, 2)
    [run] = kit.start({"sides": {}}, armed=["middle/after_ack"])
    kit.until(lambda: 3 == len(kit.held()), "three calls of one run are held")
    kit.release(run, "middle")
    kit.until(lambda: bool(kit.events("at", "middle")), "the middle is recorded")
    kit.kill()
    kit.work()
    kit.until(lambda: 2 <= len(kit.held()), "what was in flight is called again")
    for side in ("right", "middle", "left"):
        kit.release(run, side, 2)
    view = kit.end(run)
    assert ("completed", [PRICE, PRICE, PRICE, "float"]) == (view.status, view.output)
    assert ["left", "middle", "right"] == sorted(
        {call.data["step"] for call in kit.history if call.kind == "call" and call.run == run}
        - {"after"}
    )
    assert (1 if kit.durable else 2) == len(kit.calls("middle"))
    assert {"right": 2, "left": 2} == {side: len(kit.calls(side)) for side in ("right", "left")}
    assert 1 == len(kit.calls("after"))


def now(kit: Kit) -> None:
    """A moment that was read is the same after a death, and time does not go back."""
    earlier, later = remembered(kit)
    assert later >= earlier > 0


def draw(kit: Kit) -> None:
    """A number that was drawn is the same after a death; no two draws are alike."""
    luck, more = remembered(kit)
    [other] = kit.start({"other": {}})
    drawn = [luck, more, *outputs(kit, other)]
    assert 4 == len(set(drawn))
    assert all(0 <= number < 1 for number in drawn)


def remembered(kit: Kit) -> tuple[float, float]:
    """Kill the worker after a value was written to the world; return what the run returns."""
    [run] = kit.start({"run": {}}, ("second",))
    kit.until_held(run)
    kit.kill()
    kit.work()
    first, second = outputs(kit, run)
    notes = kit.calls("note", run)
    assert (1 if kit.durable else 2) == len(notes)
    assert first == value(notes[-1])
    return first, second


def outputs(kit: Kit, run: str) -> tuple[float, float]:
    """Return the two numbers that a run returns."""
    view = kit.end(run)
    assert "completed" == view.status
    assert isinstance(view.output, list)
    first, second = view.output
    assert isinstance(first, float | int)
    assert isinstance(second, float | int)
    return first, second
