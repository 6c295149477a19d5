"""What an operator asks of a run that died: what is true, who may still act, what is safe next.

All of it follows from the log, without the agent, its provider or its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.effects import Effect, Json
from runtimes.reference.effect_log.facts import Facts, Standing, Tried
from runtimes.reference.effect_log.records import Via
from runtimes.reference.resume.remedy import Move, remedy
from runtimes.reference.upstreams.base import Contract


NEXT = {
    Move.REPEAT: "it is called again",
    Move.WAIT: "it is waited out, then settled",
    Move.QUERY: "its provider is asked whether it was done",
    Move.COMPARE: "its target is looked at: as it was, as it should be, or otherwise",
    Move.ESCALATE: "a human must say; nothing calls it again",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence on a slot; ``kind`` groups sentences."""

    kind: str
    slot: str
    text: str


def true(facts: Facts) -> Iterator[Line]:
    """Yield what is already true, and what is not known to be."""
    for slot, tried in facts.effects.items():
        yield Line(str(tried.standing), slot, _said(tried))


def authority(facts: Facts, now_ms: int) -> Iterator[Line]:
    """Yield who may still act for the run, and what may still be on its way."""
    if facts.terminal:
        yield Line("ended", "", f"none: the run is {facts.terminal.status}")
    holder = facts.holder or "nobody"
    yield Line(
        "lease", "", f"epoch {facts.epoch} is held by {holder}; older ones can write no more"
    )
    used = {tried.intent.capability for tried in facts.effects.values()} - {""}
    for capability in sorted(used):
        ended = "is revoked" if capability in facts.revoked else "IS VALID until it is revoked"
        yield Line("capability", "", f"{capability[:16]} {ended}")
    if not used:
        yield Line("capability", "", "no effect of it was done under a capability")
    for slot, tried in facts.effects.items():
        left_s = (tried.intent.deadline_ms - now_ms) / 1000
        if tried.standing is Standing.IN_DOUBT and left_s > 0:
            yield Line("on its way", slot, f"its call may arrive for another {left_s:.0f} s")
    if facts.cancel:
        yield Line("cancelled", "", f"by {facts.cancel.by}: no new effect is begun")


def next_branch(facts: Facts, now_ms: int) -> Iterator[Line]:
    """Yield what a resumed run does first, in this order; nothing of it has been done."""
    for slot, tried in facts.effects.items():
        intent = tried.intent
        if tried.standing is Standing.IN_DOUBT:
            promised = Contract(effect=intent.effect, tier=intent.tier)
            way = remedy(intent, promised, now_ms, None)
            yield Line(str(way.move), slot, f"{NEXT[way.move]}, because {way.why}")
        elif tried.standing is Standing.UNKNOWN:
            yield Line("human", slot, "say whether it was done: `bakeoff effects resolve`")
        elif tried.standing is Standing.NOT_DONE and tried.completion is None:
            yield Line("do", slot, "it was not done; it is tried again, under the same key")
    undone = [one for one in facts.effects.values() if one.standing is not Standing.DONE]
    for seq, read in facts.reads.values():
        if any(seq in tried.intent.premises for tried in undone):
            text = f"{read.resource} is looked at again: a plan rests on its version {read.version}"
            yield Line("premise", read.slot, text)
    if facts.terminal:
        yield Line("end", "", f"nothing: the run is {facts.terminal.status}")
    elif not facts.unresolved:
        done = sum(tried.standing is Standing.DONE for tried in facts.effects.values())
        yield Line(
            "go on", "", f"the program is played again; {done} effects are answered from the log"
        )


def explain(run: str, facts: Facts, now_ms: int) -> Iterator[str]:
    """Yield the three answers as lines for a terminal."""
    counts = dict.fromkeys(Standing, 0)
    for tried in facts.effects.values():
        counts[tried.standing] += 1
    said = (
        ", ".join(f"{n} {standing}" for standing, n in counts.items() if n) or "nothing was tried"
    )
    yield f"run {run}, plan {facts.plan_epoch}: {said}"
    for title, lines in (
        ("What is already true", true(facts)),
        ("What authority remains valid", authority(facts, now_ms)),
        ("What is the next safe branch", next_branch(facts, now_ms)),
    ):
        yield f"\n{title}"
        for line in lines:
            yield f"  {line.kind:<11} {line.slot + ': ' if line.slot else ''}{line.text}"


def document(run: str, facts: Facts, now_ms: int) -> dict[str, Json]:
    """Return the same as a JSON object."""

    def listed(lines: Iterator[Line]) -> list[Json]:
        return [{"kind": line.kind, "slot": line.slot, "text": line.text} for line in lines]

    return {
        "run": run,
        "epoch": facts.epoch,
        "plan": facts.plan_epoch,
        "unresolved": [*facts.unresolved],
        "true": listed(true(facts)),
        "authority": listed(authority(facts, now_ms)),
        "next": listed(next_branch(facts, now_ms)),
    }


def _said(tried: Tried) -> str:
    intent, found = tried.intent, tried.completion
    text = f"{intent.op} on {intent.target}"
    if found and tried.standing is Standing.DONE:
        version = f", now at {found.version_after}" if found.version_after else ""
        how = {Via.CALL: "", Via.REPLAY: ", told twice", Via.RECONCILE: ", found there"}[found.via]
        text += version + how
    if tried.resolution:
        text += f" ({tried.resolution.method}, says {tried.resolution.by})"
    if intent.effect is Effect.IRREVERSIBLE and tried.standing is not Standing.NOT_DONE:
        text += "; CANNOT BE UNDONE"
    return text


def moment(wall_ms: int) -> str:
    """Return a moment of the wall clock for people, in UTC."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
