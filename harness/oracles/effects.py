"""Oracles on what was done to the world."""

from __future__ import annotations

from collections.abc import Sequence

from harness.effects import Effect
from harness.history import Event
from harness.oracle import NOT_APPLICABLE, OK, Expectation, Finding, last_view, violated


def duplicate_effect(events: Sequence[Event], expectation: Expectation) -> Finding:
    """An irreversible or hybrid effect was applied more than once."""
    del expectation
    first: dict[tuple[str, str], Event] = {}
    for event in events:
        if event.kind == "apply" and Effect(event.data["effect"]).once:
            key = (event.run, event.data["step"])
            if key in first:
                return violated(f"{key[1]} was applied twice", first[key], event)
            first[key] = event
    return OK


def lost_effect(events: Sequence[Event], expectation: Expectation) -> Finding:
    """The run says completed, and an owed effect is absent."""
    view = last_view(events)
    if view is None or view.data["status"] != "completed":
        return NOT_APPLICABLE
    applied = {(e.run, e.data["step"]) for e in events if e.kind == "apply"}
    for run, step in expectation.owed:
        if (run, step) not in applied:
            return violated(f"completed, but {step} was never applied", view)
    return OK


def stale_decision(events: Sequence[Event], expectation: Expectation) -> Finding:
    """A write rested on a false premise, or a sealed read was observed again and differed.

    A read is sealed once its ack is shown: by a later request of the same incarnation.
    """
    del expectation
    open_reads: dict[tuple[str, str], list[tuple[Event, str]]] = {}
    sealed: dict[tuple[str, str], Event] = {}
    reads = {
        (e.run, e.data["step"]) for e in events if e.kind == "call" and e.data["effect"] == "read"
    }
    for event in events:
        if event.kind == "apply" and event.data["premise_broken"]:
            paths = ", ".join(event.data["premise_broken"])
            return violated(f"{event.data['step']} rested on {paths}, which had changed", event)
        if event.kind in {"call", "at"}:
            for key, found in open_reads.items():
                for read, incarnation in found:
                    if key[0] == event.run and incarnation == event.data["incarnation"]:
                        sealed.setdefault(key, read)
        key = (event.run, event.data.get("step", ""))
        if event.kind == "reply" and "phase" not in event.data and key in reads:
            reply = event.data["reply"]
            if reply["status"] != "ok":
                continue
            before = sealed.get(key)
            if before is not None and before.data["reply"].get("value") != reply.get("value"):
                return violated(f"{key[1]} was read again and differed", before, event)
            open_reads.setdefault(key, []).append((event, event.data["incarnation"]))
    return OK


def zombie_write(events: Sequence[Event], expectation: Expectation) -> Finding:
    """An effect of call A was applied after a later-begun call of another incarnation.

    The later call is of the same run; branches of one gather do not count.
    """
    begun: dict[tuple[str, int], Event] = {}
    calls: list[Event] = []
    for event in events:
        if event.kind == "call":
            begun[event.data["incarnation"], event.data["seq"]] = event
            calls.append(event)
        if event.kind != "apply":
            continue
        call = begun.get((event.data["incarnation"], event.data["seq"]))
        if call is None:
            continue
        group = expectation.groups.get(event.data["step"])
        for later in calls:
            sibling = (
                group is not None
                and later.data["step"] != event.data["step"]
                and expectation.groups.get(later.data["step"]) == group
            )
            if (
                later.index > call.index
                and later.run == event.run
                and later.data["incarnation"] != event.data["incarnation"]
                and not sibling
            ):
                note = (
                    f"{event.data['step']} of {event.data['incarnation']} came after its successor"
                )
                return violated(note, call, later, event)
    return OK
