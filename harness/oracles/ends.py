"""Oracles on where a run ended.

``escalated`` is an end of its own: a human has been told, so the run is neither a ghost
nor a broken chain, and its world is not the final one.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.history import Event, step_of
from harness.oracle import (
    NOT_APPLICABLE,
    OK,
    Expectation,
    Finding,
    last_view,
    unknown,
    violated,
)
from harness.runtime import TERMINAL


def parity(events: Sequence[Event], expectation: Expectation) -> Finding:
    """The final world or the output differs from the model's.

    Where a stranger had the last word, the value is not the run's, and is not compared.  What
    strangers have added to a list is not the run's either, and must be there still.
    """
    view = last_view(events)
    world = next((e for e in reversed(events) if e.kind == "world"), None)
    if view is None or world is None or view.data["status"] != "completed":
        return NOT_APPLICABLE
    values = dict(world.data["values"])
    for path, items in world.data.get("added", {}).items():
        values[path] = left = [*(values.get(path) or [])]
        for item in items:
            if item not in left:
                return violated(f"{path} has lost {item!r}, which a stranger had added", world)
            left.remove(item)
    for path in sorted({*values, *expectation.world} - set(world.data.get("strange", ()))):
        if values.get(path) != expectation.world.get(path):
            seen, wanted = values.get(path), expectation.world.get(path)
            return violated(f"{path} is {seen!r}, the model has {wanted!r}", world)
    if view.data["output"] != expectation.output:
        note = f"the output is {view.data['output']!r}, the model has {expectation.output!r}"
        return violated(note, view)
    return OK


def ghost_running(events: Sequence[Event], expectation: Expectation) -> Finding:
    """After the settle deadline the run has not ended, and nothing moves it.

    Where the program was changed, a run that is held for a human stands rightly, and one that
    is tried again and again is not moved: the same code meets the same record each time.
    """
    view = last_view(events)
    if view is None or view.data["status"] in {"absent", "escalated"}:
        return NOT_APPLICABLE
    if view.data["status"] in TERMINAL:
        return OK
    if view.data["status"] == "parked" and "parked" in expectation.ends:
        return OK
    note = f"still {view.data['status']} at the deadline"
    if view.data["moves"] == "no" or expectation.changed:
        return violated(f"{note}, and nothing moves it", view)
    return unknown(f"{note}; whether it moves is {view.data['moves']}", view)


def lost_run(events: Sequence[Event], expectation: Expectation) -> Finding:
    """The runtime took the run, and does not know it any more."""
    del expectation
    view = last_view(events)
    if view is None:
        return NOT_APPLICABLE
    if view.data["status"] != "absent":
        return OK
    causes = [e for e in events if e.kind in {"fault", "wipe"} and e.index < view.index]
    return violated("it was taken, and is not known any more", *causes[-1:], view)


def orphaned_claim(events: Sequence[Event], expectation: Expectation) -> Finding:
    """A claim's holder is gone, and nobody took over."""
    del expectation
    view = last_view(events)
    if view is None or view.data["status"] in TERMINAL or not view.data["claim"]:
        return NOT_APPLICABLE
    holder = view.data["claim"]
    gone = next(
        (
            event
            for event in events
            if event.kind == "exit"
            and event.data["incarnation"] == holder
            and event.index < view.index
        ),
        None,
    )
    if gone is None:
        return OK
    return violated(f"claimed by {holder}, which is dead", gone, view)


def broken_chain(events: Sequence[Event], expectation: Expectation) -> Finding:
    """The work is done but the run has not ended, it ended otherwise, or a child never was."""
    view = last_view(events)
    if view is None or view.data["status"] in {"absent", "escalated"}:
        return NOT_APPLICABLE
    status = view.data["status"]
    if status == "completed":
        alive = {e.run for e in events if e.kind in {"call", "view"}}
        for child in expectation.children:
            if child not in alive:
                return violated(f"completed, but its child {child} never existed", view)
        return OK
    if status in expectation.ends & (TERMINAL | {"parked"}):
        return OK
    if status in TERMINAL:
        return violated(f"ended {status}: {view.data.get('detail', '')}", view)
    applied = {(e.run, step_of(e)) for e in events if e.kind == "apply"}
    if expectation.owed and all(owed in applied for owed in expectation.owed):
        return violated(f"all its work is done, but the run is {status}", view)
    return unknown(f"the run is {status} and its work is not done", view)


def escalation(events: Sequence[Event], expectation: Expectation) -> Finding:
    """The run was escalated although the model did not, or the other way round."""
    view = last_view(events)
    if view is None or view.data["status"] not in TERMINAL:
        return NOT_APPLICABLE
    escalated = view.data["status"] == "escalated"
    if escalated and "escalated" not in expectation.ends:
        return violated(f"needlessly escalated: {view.data.get('detail', '')}", view)
    if not escalated and expectation.ends == {"escalated"}:
        return violated("not escalated, although nobody can know whether the effect is there", view)
    return OK
