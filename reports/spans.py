"""From events to what a timeline draws: calls with their ends, lives of processes, faults."""

from __future__ import annotations

import json
import signal

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history import Event


LIMIT = 5_000
"""How many events a picture holds; beyond it browsers get slow."""


@dataclass(slots=True)
class Call:
    """A request, or a report of a phase: from its arrival to what ended it."""

    begin: Event
    held: Event | None = None
    end: Event | None = None

    @property
    def lane(self) -> str:
        """Return the incarnation that made it."""
        return str(self.begin.data["incarnation"])

    @property
    def name(self) -> str:
        """Return what it is of."""
        data = self.begin.data
        return str(data["step"] or data.get("phase", ""))


@dataclass(slots=True)
class Life:
    """One incarnation of a process, from spawn to exit."""

    name: str
    pid: int | None
    begin: Event
    ready: Event | None = None
    end: Event | None = None


@dataclass(slots=True)
class Window:
    """A fault, until it is healed."""

    begin: Event
    end: Event | None = None


def calls(events: Sequence[Event]) -> list[Call]:
    """Return all calls in order; one that nothing ended has no end."""
    found: list[Call] = []
    unanswered: dict[tuple[str, int, bool], Call] = {}

    def of(event: Event) -> tuple[str, int, bool]:
        who, seq = str(event.data.get("incarnation")), int(event.data.get("seq") or 0)
        report = (who, seq, True)
        if "phase" in event.data or (who, seq, False) not in unanswered:
            return report
        return (who, seq, False)

    for event in events:
        if event.kind in {"call", "at"}:
            key = (str(event.data["incarnation"]), int(event.data["seq"]), event.kind == "at")
            call = Call(event)
            found.append(call)
            unanswered[key] = call
        elif event.kind == "held" and of(event) in unanswered:
            unanswered[of(event)].held = event
        elif event.kind in {"reply", "discard"} and of(event) in unanswered:
            unanswered.pop(of(event)).end = event
    return found


def lives(events: Sequence[Event]) -> dict[str, Life]:
    """Return the incarnations, in order of birth."""
    found: dict[str, Life] = {}
    for event in events:
        who = str(event.data.get("incarnation", ""))
        if event.kind == "spawn":
            found[who] = Life(who, event.data.get("pid"), event)
        elif event.kind == "attached" and who in found:
            found[who].ready = event
        elif event.kind == "exit" and who in found and found[who].end is None:
            found[who].end = event
    return found


def windows(events: Sequence[Event]) -> list[Window]:
    """Return one window for each fault: several victims of one stage share it."""
    found: list[Window] = []
    for event in events:
        if event.kind == "fault":
            same = found and found[-1].end is None
            if not (same and found[-1].begin.data.get("stage") == event.data.get("stage")):
                found.append(Window(event))
        elif event.kind == "undo" and event.data.get("when") == "heal" and found:
            found[-1].end = found[-1].end or event
    return found


def blow(data: Mapping[str, Any]) -> str:
    """Return what a fault did to whom, in a few words."""
    text = str(data.get("fault", "fault"))
    number = data.get("signal")
    if number:
        known = {int(s) for s in signal.Signals}
        text += f": {signal.Signals(number).name if number in known else f'signal {number}'}"
    if data.get("pid"):
        text += f" to pid {data['pid']}"
    return f"{text} ({data['victim']})" if data.get("victim") else text


def asked(events: Sequence[Event]) -> list[Event]:
    """Return what workers asked a gateway for and it did not pass on: it had the answer."""
    passed = {(e.data["incarnation"], e.data["seq"]) for e in events if e.kind == "call"}
    return [
        event
        for event in events
        if event.kind == "probe"
        and event.data.get("ask") == "asked"
        and (event.data["incarnation"], event.data["seq"]) not in passed
    ]


def brief(value: object) -> object:
    """Return what is printed of a value: JSON where it is not a plain one."""
    plain = value is None or isinstance(value, str | int | float) or not value
    return value if plain else json.dumps(value, ensure_ascii=False)


def said(event: Event) -> str:
    """Return an event in one line of text."""
    data = {name: brief(value) for name, value in event.data.items()}
    who = f"{data['incarnation']}/{data['seq']}" if "seq" in data else data.get("incarnation", "")
    match event.kind:
        case "trial":
            names = ("runtime", "profile", "case", "guard", "fault", "mode")
            return ", ".join(f"{name} {data[name]}" for name in names if name in data)
        case "call":
            key = f", key {data['key']}" if data.get("key") else ""
            return (
                f"{data['step']} #{data.get('nth', 1)}: {data.get('op')} "
                f"({data.get('effect')}) {data.get('args')}{key}, by {who}"
            )
        case "apply":
            broken = data.get("premise_broken")
            note = f", premises broken: {broken}" if broken else ""
            return (
                f"{data['step']}: {data.get('op')} ({data.get('effect')}) applied{note}, by {who}"
            )
        case "reply":
            return f"{data.get('step') or data.get('phase')}: {data.get('reply')}, to {who}"
        case "held":
            return f"held at {data['point']}, {who}"
        case "at":
            return f"{data.get('step') or 'the run'} is at {data['phase']}, says {who}"
        case "discard":
            applied = "after it was applied" if data.get("applied") else "before it was applied"
            return f"{data['step'] or 'report'}: {data.get('why')}, {applied}, {who}"
        case "fault":
            return blow(data)
        case "explained":
            done = sum(line["kind"] == "done" for line in event.data["true"])
            then = "; ".join(
                f"{line['kind']} {line['slot']}".strip() for line in event.data["next"]
            )
            return f"done {done}, in doubt {event.data['unresolved']}; next: {then}"
        case "gate":
            return f"stage {data['stage']}: " + (
                "stands at its point" if data["ok"] else str(data["why"])
            )
        case "view":
            more = f"; {data['detail']}" if data.get("detail") else ""
            return f"{data['status']}, moves: {data.get('moves')}{more}"
        case _:
            return ", ".join(
                f"{key} {value}" for key, value in data.items() if value not in ("", None)
            )
