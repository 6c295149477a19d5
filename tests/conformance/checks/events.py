"""What starts other programs: events, invocations, failures, the clock."""

from __future__ import annotations

import time

from conformance.kit import Kit
from conformance.moments import first_s, last_s, value


DOWN_S = 2.2


def emit(kit: Kit) -> None:
    """An event that a run sends starts each program that listens, once, whoever dies."""
    [run] = kit.start({"teller": {}}, ("after",))
    kit.until_held(run)
    kit.until_called("note", 2)
    kit.kill()
    kit.work()
    assert "completed" == kit.end(run).status
    runs = [f"{run}.told.once.{program}" for program in ("listener", "other")]
    assert {"completed"} == kit.ends(runs)
    kit.quiet()
    assert set(runs) == {call.run for call in kit.calls("note")}
    assert [{"n": 7}] * 2 == [kit.view(name).output for name in runs]
    assert all({"n": 7} == value(call) for call in kit.calls("note"))


def triggers(kit: Kit) -> None:
    """Each event that a program names starts it; the same event, sent twice, does so once."""
    runs = {
        **kit.publish("opened", "k1", {"n": 1}),
        "again": kit.publish("reopened", "k1", {"n": 2})["either"],
    }
    kit.publish("opened", "k1", {"n": 1})
    kit.publish("unheard", "k1", {"n": 4})
    assert {"completed"} == kit.ends(list(runs.values()))
    later = kit.publish("opened", "k2", {"n": 5})["either"]
    assert "completed" == kit.end(later).status
    kit.quiet()
    assert [1, 2, 5] == sorted(value(call)["n"] for call in kit.calls("note"))
    assert [] == kit.calls("work")


def invoke(kit: Kit) -> None:
    """A parent gets its child's answer although both die while the child works, and once."""
    child = f"{kit.run('parent')}.ask"
    kit.hold(child, "second", 1, 2)
    [run] = kit.start({"parent": {"n": 21}})
    kit.until_held(child)
    assert [] == kit.calls("after")
    kit.kill()
    kit.work()
    kit.until_called("second", 2, child)
    kit.release(child, "second", 2)
    view = kit.end(run)
    assert ("completed", {"twice": 42}) == (view.status, view.output)
    assert "completed" == kit.end(child).status
    kit.quiet()
    assert {child} == {call.run for call in kit.calls("first")}
    assert (1 if kit.durable else 2) == len(kit.calls("first"))
    assert [{"twice": 42}] == [value(call) for call in kit.calls("after")]


def on_failure(kit: Kit) -> None:
    """A run that fails for good starts its handler once, with the reason.

    The worker dies when one handler is at work, and when another run is about to fail.
    """
    kit.hold(f"{kit.run('early')}.on_failure", "note")
    [later] = kit.start({"later": {}}, ("first",))
    kit.until_held(later)
    [early] = kit.start({"early": {}})
    kit.until_called("note")
    kit.kill()
    kit.work()
    assert {"failed"} == kit.ends([early, later])
    kit.until(lambda: len(handled(kit)) >= 2, "both handlers are called")
    assert {"completed"} == kit.ends(list(handled(kit)))
    kit.quiet()
    assert [early, later] == sorted(told["run"] for told in handled(kit).values())
    assert all("no luck" in told["error"] for told in handled(kit).values())
    if kit.durable:
        assert 1 == len(kit.calls("first", early))


def handled(kit: Kit) -> dict[str, dict[str, str]]:
    """Return what each handler was told."""
    return {call.run: value(call) for call in kit.calls("note")}


def cron(kit: Kit) -> str:
    """Ticks come by themselves, each once, and go on with the next worker."""
    kit.until_called("note", 2)
    kit.kill()
    seen, killed_s = ticks(kit), time.monotonic()
    kit.until(lambda: time.monotonic() - killed_s >= DOWN_S, "two ticks were due meanwhile")
    kit.work()
    kit.until(lambda: len(ticks(kit)) >= len(seen) + 2, "two more ticks have come")
    found, calls = ticks(kit), kit.calls("note")
    assert len(found) == len(set(found.values())), "one tick started two runs"
    span_s = last_s(calls) - first_s(calls)
    late = "caught up" if len(found) > span_s - 0.5 else "skipped"
    return f"{len(found)} ticks in {span_s:.1f} s, {DOWN_S} s without a worker: late ones {late}"


def ticks(kit: Kit) -> dict[str, str]:
    """Return the tick of each run that acted."""
    return {call.run: repr(value(call)["tick"]) for call in kit.calls("note")}
