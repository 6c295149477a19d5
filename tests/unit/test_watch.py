"""What a live trial knows of its runs, event by event."""

from __future__ import annotations

from typing import Any

from harness.history import History
from harness.watch import RunWatch, Watch


def ident(seq: int, who: str = "w1", **more: Any) -> dict[str, Any]:
    """Return who sent a request."""
    return {"incarnation": who, "seq": seq, **more}


def watched(*lines: tuple[str, str, dict[str, Any]]) -> Watch:
    """Return what is known after these events."""
    watch, history = Watch(), History()
    history.subscribe(watch.see)
    for kind, run, data in lines:
        history.append(kind, run, **data)
    return watch


CALL = ("call", "r", ident(1, step="s"))
HELD = ("held", "r", ident(1, step="s", point="s/before_effect#1"))


def test_nothing() -> None:
    """Of a run that did nothing, nothing is known."""
    assert RunWatch() == Watch().of("r")


def test_held() -> None:
    """A held request is open, and its point is known."""
    watch = watched(CALL, HELD).of("r")
    assert ({("w1", 1)}, "s/before_effect#1") == (watch.open, watch.held)
    assert (1, "w1", {"w1"}) == (watch.last, watch.last_incarnation, watch.incarnations)


def test_reply() -> None:
    """An answered request is open and held no more; its step has its reply."""
    watch = watched(CALL, HELD, ("reply", "r", ident(1, step="s", reply={}))).of("r")
    assert (set(), "", {"s"}, set()) == (watch.open, watch.held, watch.replied, watch.acked)


def test_discard() -> None:
    """A discarded request is open no more, and its step has no reply."""
    watch = watched(CALL, HELD, ("discard", "r", ident(1, step="s"))).of("r")
    assert (set(), "", set()) == (watch.open, watch.held, watch.replied)


def test_the_end_of_another_request() -> None:
    """What is held stays held when something else is answered."""
    watch = watched(
        CALL, HELD, ("call", "r", ident(2, step="t")), ("reply", "r", ident(2, step="t", reply={}))
    ).of("r")
    assert ({("w1", 1)}, "s/before_effect#1") == (watch.open, watch.held)


def test_acked() -> None:
    """A reported phase that was answered is recorded, and is no reply of the step."""
    data = ident(2, step="s", phase="after_ack")
    watch = watched(("at", "r", data), ("reply", "r", {**data, "reply": {}})).of("r")
    assert (set(), {("w1", "s")}, set()) == (watch.replied, watch.acked, watch.open)


def test_attempts() -> None:
    """Attempts are counted for each incarnation and step."""
    watch = watched(
        CALL, ("call", "r", ident(2, step="s")), ("call", "r", ident(1, "w2", step="s"))
    ).of("r")
    assert {("w1", "r/s"): 2, ("w2", "r/s"): 1} == watch.attempts
    assert {"w1", "w2"} == watch.incarnations


def test_children_count_with_their_root() -> None:
    """A child's request keeps the run that began it busy, under a name of its own."""
    watch = watched(CALL, ("call", "r.child", ident(2, step="s")))
    assert ["r"] == list(watch.runs)
    assert {("w1", 1), ("w1", 2)} == watch.of("r").open
    assert {("w1", "r/s"): 1, ("w1", "r.child/s"): 1} == watch.of("r").attempts


def test_other_events() -> None:
    """What is no request changes nothing."""
    watch = watched(("apply", "r", ident(1, step="s")), ("view", "r", {"status": "running"}))
    assert {} == watch.runs


def test_moved() -> None:
    """The last request of any run is when something moved; nothing else moves."""
    watch, history = Watch(), History()
    history.subscribe(watch.see)
    assert 0.0 == watch.moved_s()
    call = history.append("call", "r", **ident(1, step="s"))
    history.append("view", "r", status="running")
    assert call.t_ns / 1e9 == watch.moved_s()


def test_recorded_counts_for_the_last_caller() -> None:
    """A step is recorded if its last caller reported it; a caller that has not yet, counts."""
    watch = RunWatch(last_incarnation="w2", acked={("w1", "a"), ("w1", "b"), ("w2", "b")})
    watch.called = {("w1", "a"), ("w1", "b"), ("w2", "b")}
    assert [True, True, False] == [watch.recorded(step) for step in ("a", "b", "c")]
    watch.called.add(("w2", "a"))
    assert not watch.recorded("a")
