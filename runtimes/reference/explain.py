"""What an operator asks of a run that died: what is true, who may still act, what is safe next.

All of it follows from the log, without the agent, its provider or its memory.
"""

from __future__ import annotations

import textwrap

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.effects import Effect, Json
from runtimes.reference.effect_log.facts import Facts, Standing, Tried
from runtimes.reference.effect_log.records import Completion, Intent, Outcome, Via
from runtimes.reference.resume.remedy import Move, remedy
from runtimes.reference.upstreams.base import Contract


NEXT = {
    Move.REPEAT: "it is called again",
    Move.QUERY: "its provider is asked whether it was done",
    Move.ESCALATE: "a human must say whether it was done, and nothing calls it again",
}
COMPARED = (
    "its target is looked at. As it was: it is called. As it should be: it is done. "
    "Otherwise: {otherwise}."
)
WIDTH = 80
ROWS = {"true": 14, "authority": 8, "next": 10}
"""All three with their titles are one screen of 40 rows."""
SHORT = 12
"""Characters of a version or a capability: enough to tell two apart."""
FOR_GOOD = "; CANNOT BE UNDONE"
OVERTAKEN = ", which is otherwise: it may have been done before"
LESS = ("done", "not done", "revoked", "capability")
"""What a screen leaves out first."""


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
    later = "older ones can write no more, and a resume shuts this one out"
    yield Line("lease", "", f"epoch {facts.epoch} is held by {holder}; {later}")
    every = dict.fromkeys(tried.intent.capability for tried in facts.effects.values())
    used = [capability for capability in every if capability]
    for capability in used:
        if capability in facts.revoked:
            yield Line("revoked", "", f"capability {capability[:SHORT]}")
        else:
            yield Line("capability", "", f"{capability[:SHORT]} IS VALID until it is revoked")
    if not used:
        yield Line("capability", "", "none was used: who acts for it has its credentials")
    for slot, tried in facts.effects.items():
        left_s = (tried.intent.deadline_ms - now_ms) / 1000
        if tried.standing is Standing.IN_DOUBT and left_s > 0:
            yield Line("on its way", slot, f"its call may arrive for another {left_s:.0f} s")
    if facts.cancel:
        yield Line("cancelled", "", f"by {facts.cancel.by}: no new effect is begun")


def next_branch(facts: Facts, now_ms: int) -> Iterator[Line]:
    """Yield what a resumed run does first, in this order; nothing of it has been done."""
    asked = False
    for slot, tried in facts.effects.items():
        if tried.standing is Standing.IN_DOUBT:
            move, line = _settled(slot, tried.intent, now_ms)
            asked |= move is Move.ESCALATE
            yield line
        elif tried.standing is Standing.UNKNOWN:
            asked = True
            yield Line("human", slot, "say whether it was done: `bakeoff effects resolve`")
        elif tried.standing is Standing.NOT_DONE and not (tried.completion or facts.terminal):
            yield Line("do", slot, "it was not done; it is tried again, under the same key")
    if facts.terminal:
        yield Line("end", "", f"nothing: the run is {facts.terminal.status}")
        return
    open_ = [each for each in facts.effects.values() if each.standing is not Standing.DONE]
    for seq, read in facts.reads.values():
        if any(seq in tried.intent.premises for tried in open_):
            version = read.version[:SHORT]
            text = f"{read.resource} is looked at again: what is not done rests on {version}"
            yield Line("premise", read.slot, text)
    if not asked:
        done = sum(tried.standing is Standing.DONE for tried in facts.effects.values())
        yield Line(
            "then" if facts.unresolved else "go on",
            "",
            f"the program is played again; {_many(done, 'effect')} and "
            f"{_many(len(facts.reads), 'read')} are answered from the log",
        )


def _settled(slot: str, intent: Intent, now_ms: int) -> tuple[Move, Line]:
    """Say what becomes of an effect in doubt."""
    promised = Contract(effect=intent.effect, tier=intent.tier)
    way, wait = remedy(intent, promised, now_ms, None), ""
    if way.move is Move.WAIT:
        wait = f"in {max(1, (way.until_ms - now_ms) // 1000)} s, when no call can arrive any more, "
        way = remedy(intent, promised, way.until_ms, None)
    if way.move is Move.COMPARE:
        otherwise = "a new plan" if intent.effect is Effect.HYBRID else "a human must say"
        text = COMPARED.format(otherwise=otherwise)
    else:
        text = f"{NEXT[way.move]}, because {way.why}"
    return way.move, Line("wait" if wait else str(way.move), slot, wait + text)


def explain(run: str, facts: Facts, now_ms: int) -> Iterator[str]:
    """Yield the three answers as lines for a terminal: one screen, whatever the run has done."""
    counts = dict.fromkeys(Standing, 0)
    for tried in facts.effects.values():
        counts[tried.standing] += 1
    said = (
        ", ".join(f"{n} {standing}" for standing, n in counts.items() if n) or "nothing was tried"
    )
    yield from _wrapped(f"run {run}, plan {facts.plan_epoch}: {said}", "  ")
    for title, rows, lines in (
        ("What is already true", ROWS["true"], true(facts)),
        ("What authority remains valid", ROWS["authority"], authority(facts, now_ms)),
        ("What is the next safe branch", ROWS["next"], next_branch(facts, now_ms)),
    ):
        yield ""
        yield title
        yield from _screened([*lines], rows)


def _screened(lines: list[Line], rows: int) -> Iterator[str]:
    """Yield as many lines as there are rows for; what is done goes first, the oldest before."""
    texts = [
        _wrapped(f"  {line.kind:<11} {line.slot + ': ' if line.slot else ''}{line.text}", " " * 14)
        for line in lines
    ]
    rank = {kind: number for number, kind in enumerate(LESS)}
    order = sorted(range(len(lines)), key=lambda at: (rank.get(lines[at].kind, len(LESS)), at))
    left_out: set[int] = set()
    while order and sum(len(texts[at]) for at in order) + bool(left_out) > rows:
        left_out.add(order.pop(0))
    if left_out:
        good = sum(lines[at].text.endswith(FOR_GOOD) for at in left_out)
        tail = f", {good} of which cannot be undone" if good else ""
        yield f"  {'...':<11} {len(left_out)} more{tail}: --json has them"
    for at in sorted(order):
        yield from texts[at]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


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
        version = f", now at {found.version_after[:SHORT]}" if found.version_after else ""
        how = {Via.CALL: "", Via.REPLAY: ", told twice", Via.RECONCILE: ", found there"}[found.via]
        text += version + how
    if tried.resolution:
        text += f" ({tried.resolution.method}, says {tried.resolution.by})"
    if found and tried.standing is Standing.NOT_DONE:
        text += OVERTAKEN if tried.overtaken else _why(found)
    if intent.effect is Effect.IRREVERSIBLE and tried.standing is not Standing.NOT_DONE:
        text += FOR_GOOD
    return text


def _why(found: Completion) -> str:
    """Say why an effect was not done, in its provider's words."""
    if found.outcome is Outcome.CONFLICT:
        return ", which was not as expected"
    said = found.response if isinstance(found.response, dict) else {}
    words = [str(said[name]) for name in ("refused", "detail") if said.get(name)]
    return textwrap.shorten(f", refused ({': '.join(words)})" if words else ", refused", WIDTH)


def moment(wall_ms: int) -> str:
    """Return a moment of the wall clock for people, in UTC."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
