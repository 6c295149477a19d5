"""Oracles on the fault itself: did it happen, was it noticed, whom did it hurt."""

from __future__ import annotations

from collections.abc import Sequence

from harness.history import Event
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


def hung_handler(events: Sequence[Event], expectation: Expectation) -> Finding:
    """The runtime did not notice a live worker that never answers, by its declared timer."""
    hung = next((e for e in events if e.kind == "fault" and e.data.get("hung")), None)
    if hung is None:
        return NOT_APPLICABLE
    for event in events:
        if event.index > hung.index and (
            event.kind == "call" or (event.kind == "view" and event.data["status"] in TERMINAL)
        ):
            return OK
    timer = expectation.hang_timer_s
    why = f"its timer is {timer:g} s" if timer is not None else "it declares no timer"
    return violated(f"the hung handler was not noticed; {why}", hung)


def false_alarm(events: Sequence[Event], expectation: Expectation) -> Finding:
    """A live worker whose heartbeats went on was taken for dead: its step was called again."""
    del expectation
    slow = next((e for e in events if e.kind == "fault" and e.data.get("lingers_s")), None)
    if slow is None:
        return NOT_APPLICABLE
    begun = {(e.run, e.data["step"]) for e in events if e.kind == "call" and e.index < slow.index}
    for event in events:
        late = event.index > slow.index and event.kind == "call"
        if late and (event.run, event.data["step"]) in begun:
            return violated(f"{event.data['step']} was called again at work", slow, event)
    return OK


def credential_leak(events: Sequence[Event], expectation: Expectation) -> Finding:
    """A canary secret stands in output, logs, journals or stores."""
    del expectation
    scan = next((e for e in reversed(events) if e.kind == "scan"), None)
    if scan is None or not scan.data["searched"]:
        return NOT_APPLICABLE
    if scan.data["found"]:
        return violated(f"the credential stands in {', '.join(scan.data['found'])}", scan)
    return OK


def recovery_harm(events: Sequence[Event], expectation: Expectation) -> Finding:
    """A recovery action or a fault hurt a bystander run."""
    del expectation
    seen = [event for event in events if event.kind == "bystander"]
    if not seen:
        return NOT_APPLICABLE
    for event in seen:
        if event.data["outcome"] == "violated":
            return violated(f"bystander {event.data['name']}: {event.data['why']}", event)
    for event in seen:
        if event.data["outcome"] == "unknown":
            return unknown(f"bystander {event.data['name']}: {event.data['why']}", event)
    return OK


def vacuity(events: Sequence[Event], expectation: Expectation) -> Finding:
    """The fault did not come where and as planned: then nothing can be concluded.

    For each fault: the gate was passed, the victim was seen dead (or frozen), and
    afterwards some other incarnation made progress with the run.
    """
    del expectation
    planned = [event for event in events if event.kind == "gate"]
    if not planned:
        return NOT_APPLICABLE
    for gate in planned:
        if not gate.data["ok"]:
            return unknown(f"stage {gate.data['stage']}: {gate.data['why']}", gate)
    for gate in planned:
        faults = [e for e in events if e.kind == "fault" and e.data["stage"] == gate.data["stage"]]
        if not faults:
            return unknown(f"stage {gate.data['stage']}: no fault followed", gate)
        for event in faults:
            if event.data["must_die"] and event.data["status"] is None:
                return unknown(f"{event.data['victim']} was not seen dead", event)
        if faults[0].data.get("hung") or faults[0].data.get("version"):
            continue  # whether anything follows is what the oracles of hangs and ghosts judge
        view = last_view(events)
        if view is not None and (view.data["moves"] == "no" or view.data["status"] == "absent"):
            continue  # the runtime itself says that nothing will follow: others judge that
        victims = {event.data["victim"] for event in faults}
        if not any(
            event.index > faults[-1].index
            and (
                (event.kind in {"call", "at", "reply"} and event.data["incarnation"] not in victims)
                or (event.kind == "view" and event.data["status"] in TERMINAL)
            )
            for event in events
        ):
            return unknown(f"stage {gate.data['stage']}: no progress followed", faults[-1])
    return OK
