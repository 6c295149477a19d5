"""What can be said of a run while its worker is dead: by its gateway, else by its history only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.effects import Effect, Guard
from harness.history import Event
from harness.schedule import AFTER, parse
from reports.spans import asked
from reports.steps import named, steps, workers
from reports.words import count, listed


SIGNS = {"done": "✓", "not done": "∅", "in doubt": "?", "unknown": "?"}
LAST = 3
"""How many calls before the death its picture shows."""
SHOWN = 3
"""How many steps a sentence names."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of one effect: its standing and its sign; ``final`` if it cannot be undone."""

    slot: str
    kind: str
    text: str
    final: bool

    @property
    def sign(self) -> str:
        """Return its sign."""
        return SIGNS.get(self.kind, "·")


@dataclass(frozen=True, slots=True)
class Answers:
    """Who answers, and what: the effects, and sentences for each of the three questions."""

    who: str
    facts: Sequence[Fact]
    true: Sequence[str]
    authority: Sequence[str]
    next: Sequence[str]


def death(events: Sequence[Event], schedules: Sequence[str]) -> str:
    """Return the schedule whose death tells most: the last effect done that cannot be undone."""
    final = [step.name for step in steps(events) if step.effect is Effect.IRREVERSIBLE]
    found = {}
    for text in schedules:
        stages = parse(text).stages
        if len(stages) == 1 and stages[0].point.phase == AFTER and stages[0].point.nth == 1:
            found[stages[0].point.step] = text
    return next((found[name] for name in reversed(final) if name in found), "")


def moment(events: Sequence[Event]) -> int:
    """Return the place of the blow in a history; its length if there was none."""
    places = (place for place, event in enumerate(events) if event.kind == "fault")
    return next(places, len(events))


def around(events: Sequence[Event]) -> list[Event]:
    """Return what a picture of a death needs: the last calls before it, and all that followed."""
    place = moment(events)
    calls = [at for at, event in enumerate(events[:place]) if event.kind == "call"]
    start = calls[-LAST] if len(calls) > LAST else 0
    frame = {"trial", "spawn", "attached"}
    kept = [e for e in events[:start] if e.kind in frame]
    kept += [e for e in events[start:] if e.kind not in {"journal", "scan", "world"}]
    return [e for e in kept if e.kind != "probe" or e.data.get("ask") == "asked"]


def explained(events: Sequence[Event]) -> Event | None:
    """Return what the gateway said while the worker was dead."""
    for event in events[moment(events) :]:
        if event.kind == "explained":
            return event
        if event.kind == "undo":
            break
    return None


def answers(events: Sequence[Event], guard: str) -> Answers:
    """Return what is known of a run at its death."""
    told = explained(events)
    if told:
        return _told(told, events[moment(events)])
    if guard == Guard.GATEWAY:
        silent = ["Nobody was asked: this history is of before gateways were."]
        return Answers("nobody", [], silent, silent, silent)
    return _seen(events, guard)


def _told(event: Event, blow: Event) -> Answers:
    final = {
        line["slot"] for line in event.data["true"] if line["text"].endswith("CANNOT BE UNDONE")
    }
    facts = [
        Fact(line["slot"], line["kind"], line["text"], line["slot"] in final)
        for line in event.data["true"]
    ]
    open_ = event.data["unresolved"]
    doubt = f"in doubt: {listed(open_)}" if open_ else "nothing is in doubt"
    after_ms = (event.t_ns - blow.t_ns) / 1e6
    return Answers(
        f"says the gateway, {after_ms:,.0f} ms after the death, from its log",
        facts,
        [f"{count(sum(f.kind == 'done' for f in facts), 'effect')} done, {doubt}."],
        [_line(line) for line in event.data["authority"]],
        [_line(line) for line in event.data["next"]],
    )


def _line(line: Mapping[str, Any]) -> str:
    slot = f" {line['slot']}" if line["slot"] else ""
    return f"{line['kind']}{slot}: {line['text']}"


def _seen(events: Sequence[Event], guard: str) -> Answers:
    """Return what the world's ledger shows; no operator has one."""
    place = moment(events)
    before = events[:place]
    effects = {step.name: step.effect for step in steps(events)}
    told = {(e.data["incarnation"], e.data["seq"]) for e in before if e.kind == "reply"}
    facts = []
    for event in before:
        if event.kind != "apply":
            continue
        name = named(event)
        known = (event.data["incarnation"], event.data["seq"]) in told
        text = "done, and its answer arrived" if known else "done, and its answer reached nobody"
        final = effects[name] is Effect.IRREVERSIBLE
        facts.append(Fact(name, "done" if known else "in doubt", text, final))
    lost = [fact.slot for fact in facts if fact.kind == "in doubt"]
    true = [f"{count(len(facts) - len(lost), 'effect')} done and answered."]
    if lost:
        true.append(f"{listed(lost)}: done, but its answer reached nobody. Only the world knows.")
    key = ", each write with a key of its run and step" if guard == Guard.KEYS else ""
    return Answers(
        "nobody can say; this is the world's own ledger",
        facts,
        [*true, _engine(events)],
        [
            f"The provider's credential itself, in the worker's hands{key}.",
            "It names no run and has no end: nobody can tell what may still act, or stop it.",
        ],
        [
            f"Safe: not to do {listed(lost)} again, but no record says that it was done."
            if lost
            else "Safe: to go on where its answers end.",
            went_on(events),
        ],
    )


def _engine(events: Sequence[Event]) -> str:
    for event in events[moment(events) :]:
        if event.kind == "view" and "." not in event.run:
            return f"The engine said meanwhile: {event.data['status']}."
        if event.kind == "undo":
            break
    return "The engine was not asked meanwhile: this run was one of a batch."


def went_on(events: Sequence[Event]) -> str:
    """Return what was done with the run after the death."""
    place = moment(events)
    had = {e.data["incarnation"] for e in events[:place] if e.kind == "call"}
    heirs = [who for who in workers(events) if who not in had]
    after = [e for e in events[place:] if e.data.get("incarnation") in heirs]
    done = list(dict.fromkeys(named(e) for e in after if e.kind == "call"))
    free = list(dict.fromkeys(named(e) for e in asked(after)))
    if not done and not free:
        return "What it did: it called nothing more."
    if not done:
        return f"What it did: {_few(free)}, answered from the log; nothing reached the world."
    earlier = {named(e) for e in events[:place] if e.kind == "call"}
    again = [name for name in done if name in earlier]
    return f"What it did: {_few(again)} again." if again else f"What it did: {_few(done)}."


def _few(found: list[str]) -> str:
    if len(found) <= SHOWN:
        return listed(found)
    return f"{found[0]} to {found[-1]} ({count(len(found), 'step')})"
