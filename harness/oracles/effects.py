"""Oracles on what was done to the world."""

from __future__ import annotations

from collections.abc import Sequence

from harness.effects import Effect, Op
from harness.guardian import Scope
from harness.history import Event, step_of
from harness.oracle import NOT_APPLICABLE, OK, Expectation, Finding, last_view, violated
from harness.world.cell import resources


def duplicate_effect(events: Sequence[Event], expectation: Expectation) -> Finding:
    """An irreversible or hybrid effect was applied more than once."""
    del expectation
    first: dict[tuple[str, str], Event] = {}
    for event in events:
        if event.kind == "apply" and Effect(event.data["effect"]).once:
            key = (event.run, step_of(event))
            if key in first:
                return violated(f"{key[1]} was applied twice", first[key], event)
            first[key] = event
    return OK


def _after_cancel(events: Sequence[Event]) -> tuple[Event | None, list[Event]]:
    """Return the cancellation that was taken, and the calls that the run began after it.

    Whether a cancellation reaches a run's children is the runtime's own choice.
    """
    taken = next((e for e in events if e.kind == "fault" and e.data.get("cancelled")), None)
    if taken is None:
        return None, []
    runs = taken.data["cancelled"]
    begun = [e for e in events if e.kind == "call" and e.index > taken.index and e.run in runs]
    return taken, begun


def cancelled_effect(events: Sequence[Event], expectation: Expectation) -> Finding:
    """An effect of the run was begun after the runtime had taken its cancellation."""
    del expectation
    taken, begun = _after_cancel(events)
    if taken is None:
        return NOT_APPLICABLE
    calls = {(e.run, e.data["incarnation"], e.data["seq"]): e for e in begun}
    for event in events:
        if event.kind == "apply":
            call = calls.get((event.run, event.data["incarnation"], event.data["seq"]))
            if call:
                note = f"{event.data['step']} was begun after the run was cancelled"
                return violated(note, taken, call, event)
    return OK


def cancel_ignored(events: Sequence[Event], expectation: Expectation) -> Finding:
    """The run went on after its cancellation: by more than a step, or to its completion."""
    del expectation
    taken, begun = _after_cancel(events)
    if taken is None:
        return NOT_APPLICABLE
    steps = list(dict.fromkeys(e.data["step"] for e in begun))
    view = last_view(events)
    completed = view is not None and view.data["status"] == "completed"
    if len(steps) > 1 or (steps and completed):
        note = f"after the cancellation it began {', '.join(steps)}"
        return violated(f"{note}{' and completed' if completed else ''}", taken, *begun)
    return OK


def overreach(events: Sequence[Event], expectation: Expectation) -> Finding:
    """An effect was outside the run's scope, or was begun after its token had ended."""
    if expectation.scope is None:
        return NOT_APPLICABLE
    ended = next((e for e in events if e.kind == "fault" and e.data.get("revoked")), None)
    runs = ended.data["revoked"] if ended else ()
    late = {
        (e.run, e.data["incarnation"], e.data["seq"]): e
        for e in events
        if ended and e.kind == "call" and e.index > ended.index and e.run in runs
    }
    for event in events:
        if event.kind != "apply":
            continue
        step, verb, effect = event.data["step"], event.data["op"], Effect(event.data["effect"])
        for path in resources(verb, event.data["args"]):
            if Scope(verb, effect, path) not in expectation.scope:
                return violated(f"{step}: {verb} on {path} is outside the run's scope", event)
        call = late.get((event.run, event.data["incarnation"], event.data["seq"]))
        if ended and call:
            return violated(f"{step} was begun after its token had ended", ended, call, event)
    return OK


def unapproved(events: Sequence[Event], expectation: Expectation) -> Finding:
    """What a human must allow was done without his word, twice on one, or on what he never saw."""
    if not expectation.asks:
        return NOT_APPLICABLE
    words: list[Event] = []
    for event in events:
        if event.kind == "word":
            words.append(event)
        if event.kind != "apply":
            continue
        step, op = step_of(event), Op(event.data["op"], Effect(event.data["effect"]))
        if op not in expectation.asks:
            continue
        rests = {premise["path"]: premise["etag"] for premise in event.data["premises"]}
        mine = [word for word in words if (word.run, step_of(word)) == (event.run, step)]
        good = [
            word
            for word in mine
            if all(rests.get(path, seen) == seen for path, seen in word.data["premises"].items())
        ]
        if not good:
            had = "a word on another state" if mine else "no word that was not used"
            return violated(f"{step} was done with {had}", *mine, event)
        words.remove(good[0])
    return OK


def unlogged_effect(events: Sequence[Event], expectation: Expectation) -> Finding:
    """A write was begun while the log of who guards the run had no room for it."""
    del expectation
    full = next((e for e in events if e.kind == "fault" and e.data.get("full")), None)
    if full is None:
        return NOT_APPLICABLE
    for event in events[events.index(full) :]:
        if event.kind == "told":  # from here on there may be room
            break
        if event.kind == "call" and Effect(event.data["effect"]).writes:
            note = f"{event.data['step']} was begun while nothing could be written down"
            return violated(note, full, event)
    return OK


def lost_effect(events: Sequence[Event], expectation: Expectation) -> Finding:
    """The run says completed, and an owed effect is absent."""
    view = last_view(events)
    if view is None or view.data["status"] != "completed":
        return NOT_APPLICABLE
    applied = {(e.run, step_of(e)) for e in events if e.kind == "apply"}
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
