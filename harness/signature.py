"""Signatures: the names by which operators know what is wrong with a run.

One pure function tells them apart, from what is visible of a run: where its engine says it
stands, whether anybody works on it, and, where a World saw the effects, whether its work is
done.  A trial and a live deployment give the same evidence, so that what the trials show is
what `bakeoff diagnose` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from harness.effects import Json
from harness.history import Event
from harness.oracle import Expectation
from harness.runtime import TERMINAL


class Signature(StrEnum):
    """What is wrong with a run."""

    CLEAN = "clean"
    """It has ended as it should, or goes on by itself."""
    CHAIN_BROKEN = "CHAIN_BROKEN"
    """All its work is done, but the run has not ended, or not as completed."""
    ORPHANED_CLAIM = "ORPHANED_CLAIM"
    """A worker that is gone holds it, and nobody takes over."""
    SDK_UNREACHABLE = "SDK_UNREACHABLE"
    """Nobody who could carry it out is reachable."""
    ATTEMPTS_BURNT = "ATTEMPTS_BURNT"
    """It was given up, although its own code never failed: absences used its attempts up."""
    HUNG_HANDLER = "HUNG_HANDLER"
    """A live worker has it and never answers."""
    STUCK_RUN = "STUCK_RUN"
    """It has not ended, and nothing will move it."""
    LOST_RUN = "LOST_RUN"
    """It was accepted, and the engine does not know it any more."""
    UNKNOWN = "UNKNOWN"
    """What is visible does not tell."""


CUT = frozenset({"cut", "black_hole"})
GIVEN_UP = frozenset({"failed", "dead", "parked", "cancelled"})
GOVERNS: Mapping[Signature, str] = {
    Signature.CHAIN_BROKEN: "dead_worker",
    Signature.ORPHANED_CLAIM: "dead_worker",
    Signature.SDK_UNREACHABLE: "unreachable",
    Signature.ATTEMPTS_BURNT: "attempts",
    Signature.HUNG_HANDLER: "hang",
    Signature.STUCK_RUN: "store",
    Signature.LOST_RUN: "store",
}
"""The kind of setting that decides each; a runtime's ``governs`` maps kinds to its own names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is visible of a run.

    ``worker``: whether a worker that could carry it on is alive and reachable.  ``work``:
    whether all its effects are in the world.  ``open``: a live worker is at a call of it, and
    ``beats``: that worker goes on to say that it is at work.
    ``accepted``: the engine took it once.  ``erred``: its own code failed.  ``idle_s``:
    seconds since it was seen to move, where known.  ``note``: what else tells, as a sentence.
    """

    run: str
    status: str
    moves: str = "unknown"
    claim: str = ""
    worker: Literal["alive", "gone", "unknown"] = "unknown"
    claimant: Literal["alive", "gone", "unknown"] = "unknown"
    work: Literal["done", "open", "unknown"] = "unknown"
    open: bool = False
    beats: bool = False
    accepted: bool = True
    erred: bool = False
    idle_s: float | None = None
    failure: str = ""
    note: str = ""


def classify(seen: Evidence) -> Signature:
    """Return the signature of a run."""
    if seen.status in {"completed", "escalated"}:
        return Signature.CLEAN
    if seen.status in {"absent", "unknown"}:
        lost = seen.status == "absent" and seen.accepted
        return Signature.LOST_RUN if lost else Signature.UNKNOWN
    if seen.status in GIVEN_UP:
        if seen.work == "done":
            return Signature.CHAIN_BROKEN
        return Signature.UNKNOWN if seen.erred else Signature.ATTEMPTS_BURNT
    if seen.worker == "gone":
        return Signature.SDK_UNREACHABLE
    if seen.moves == "yes":
        return Signature.CLEAN
    if seen.claimant == "gone":
        return Signature.ORPHANED_CLAIM
    if seen.open:
        return Signature.CLEAN if seen.beats else Signature.HUNG_HANDLER
    if seen.work == "done":
        return Signature.CHAIN_BROKEN
    return Signature.STUCK_RUN if seen.moves == "no" else Signature.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A signature with what shows it and the engine setting that governs it.

    ``setting`` is empty where nothing is wrong, or where the runtime names none.
    """

    signature: Signature
    evidence: tuple[str, ...]
    setting: str = ""
    value: Json = None

    def to_json(self) -> dict[str, Json]:
        """Return the diagnosis as a JSON object."""
        return {
            "signature": str(self.signature),
            "evidence": list(self.evidence),
            "setting": self.setting,
            "value": self.value,
        }


def diagnosis(seen: Evidence, settings: Mapping[str, Json]) -> Diagnosis:
    """Return what is wrong with a run, and which of the runtime's settings decides it."""
    signature = classify(seen)
    governs = settings.get("governs")
    setting = ""
    if isinstance(governs, dict):
        burnt = seen.status in GIVEN_UP and not seen.erred
        kind = "attempts" if burnt else GOVERNS.get(signature, "")
        setting = str(governs.get(kind, ""))
    return Diagnosis(
        signature=signature,
        evidence=tuple(_sentences(seen)),
        setting=setting,
        value=settings.get(setting),
    )


def _sentences(seen: Evidence) -> list[str]:
    said = [f"the engine says {seen.status}"]
    if seen.status not in TERMINAL:
        said.append(f"whether it moves by itself: {seen.moves}")
        said.append(f"a worker for it: {seen.worker}")
    if seen.claim:
        said.append(f"claimed by {seen.claim}, which is {seen.claimant}")
    if seen.work != "unknown":
        said.append("all its effects are done" if seen.work == "done" else "its work is not done")
    if seen.open:
        ends = "that takes long, and its heartbeats go on" if seen.beats else "that does not end"
        said.append(f"a live worker is at a call {ends}")
    if seen.idle_s is not None:
        said.append(f"it has not moved for {seen.idle_s:.0f} s")
    if seen.failure:
        said.append(f"last failure: {seen.failure}")
    if seen.note:
        said.append(seen.note)
    return said


def evidence(events: Sequence[Event], expectation: Expectation) -> Evidence | None:
    """Return what a trial's history shows of its run at the end, or None without a view."""
    view = next((e for e in reversed(events) if e.kind == "view" and "." not in e.run), None)
    if view is None:
        return None
    before = [event for event in events if event.index <= view.index]
    dead = {e.data["incarnation"] for e in before if e.kind == "exit"}
    born = {e.data["incarnation"] for e in before if e.kind == "attached"}
    applied = {(e.run, e.data["step"]) for e in before if e.kind == "apply"}
    done = bool(expectation.owed) and all(owed in applied for owed in expectation.owed)
    claim = str(view.data.get("claim") or "")
    detail = view.data.get("detail") or {}
    hung = any(event.kind == "reply" and _hung(event) for event in before)
    moves = str(view.data["moves"])
    return Evidence(
        run=view.run,
        status=view.data["status"],
        # It waits for a call of which the trial knows that it never ends.
        moves="unknown" if hung and moves == "yes" else moves,
        claim=claim,
        worker="alive" if born - dead and not _parted(before) else "gone",
        claimant="unknown" if not claim else "gone" if claim in dead else "alive",
        work="done" if done else "open",
        open=any(by not in dead for by in _open(before)),
        beats=any(e.kind == "fault" and e.data.get("lingers_s") for e in before),
        failure=str(detail.get("last_failure") or detail.get("failure") or ""),
    )


def _parted(events: Sequence[Event]) -> bool:
    """Say whether nothing passes between engine and worker."""
    last = next((e for e in reversed(events) if e.kind in {"fault", "undo"}), None)
    return last is not None and last.kind == "fault" and last.data.get("mode") in CUT


def _open(events: Sequence[Event]) -> set[str]:
    """Return the incarnations that are at a call."""
    calls: dict[tuple[str, int], str] = {}
    for event in events:
        if event.kind in {"call", "at"}:
            calls[event.data["incarnation"], event.data["seq"]] = event.data["incarnation"]
        elif event.kind == "discard" or (event.kind == "reply" and not _hung(event)):
            calls.pop((event.data["incarnation"], event.data["seq"]), None)
    return set(calls.values())


def _hung(reply: Event) -> bool:
    """Say whether a reply told the worker never to answer its engine."""
    answer = reply.data.get("reply")
    return isinstance(answer, dict) and answer.get("status") == "hang"
