"""A human's word on a step, as a history has it: whether it was given, and on what."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from harness.history import Event


def worded(events: Iterable[Event], run: str, step: str) -> bool:
    """Say whether a human has given his word on a step."""
    return any(e.kind == "word" and (e.run, e.data["step"]) == (run, step) for e in events)


def shown(events: Iterable[Event], run: str, before: Collection[str]) -> dict[str, str]:
    """Return what a human is shown: the versions that a run has read when it first asks him.

    That is when all steps ``before`` have been answered.
    """
    reads: dict[str, str] = {}
    found: dict[str, str] = {}
    left = {*before}
    for event in events:
        if event.run != run or "phase" in event.data:
            continue
        if event.kind == "call" and event.data["effect"] == "read":
            reads[event.data["step"]] = str(event.data["args"].get("path", ""))
        elif event.kind == "reply":
            step, said = event.data["step"], event.data["reply"]
            if step in reads and said["status"] == "ok":
                found[reads[step]] = str(said["etag"])
            left.discard(step)
            if not left:
                break
    return found
