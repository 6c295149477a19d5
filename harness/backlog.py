"""Runs that stand in the queue while their engine dies: none may be lost, none come twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.effects import Effect
from harness.history import Event, split
from harness.model import ideal
from harness.plan import arg_of
from harness.runtime import TERMINAL
from harness.scenario import Case


SHOWN = 3


def fared(runs: Sequence[str], case: Case, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return how the backlog fared as one bystander: ``name``, ``outcome`` and ``why``.

    No run of it was under way at the kill, so whatever the runtime promises, each must have
    ended, with every effect there, and none of what cannot be undone there twice.
    """
    if not runs:
        return []
    histories = split(events)
    violated: list[str] = []
    unknown: list[str] = []
    for run in runs:
        own = histories.get(run, [])
        view = next((e for e in reversed(own) if e.kind == "view" and e.run == run), None)
        status = str(view.data["status"]) if view else "unknown"
        if status not in TERMINAL:
            stands = view is not None and view.data["moves"] == "no"
            (violated if stands else unknown).append(f"{run} is {status}")
        violated += [f"{run} {what}" for what in _wrong(run, case, own, status)]
    outcome = "violated" if violated else "unknown" if unknown else "ok"
    told = violated or unknown
    why = "; ".join(told[:SHOWN]) + (f"; {len(told)} in all" if len(told) > SHOWN else "")
    return [{"name": f"backlog of {len(runs)}", "outcome": outcome, "why": why}]


def _wrong(run: str, case: Case, events: Sequence[Event], status: str) -> Iterator[str]:
    applied = [
        (e.run, e.data["step"], Effect(e.data["effect"])) for e in events if e.kind == "apply"
    ]
    once = [(owner, step) for owner, step, effect in applied if effect.once]
    for owner, step in sorted({key for key in once if once.count(key) > 1}):
        yield f"has {step} of {owner} twice"
    if status in TERMINAL - {"completed"}:
        yield f"ended {status}"
    if status == "completed":
        there = {(owner, step) for owner, step, _ in applied}
        for owner, step in ideal(case, run, arg_of(case, run), events).owed:
            if (owner, step) not in there:
                yield f"has no {step}"


def drain(runs: Sequence[str], events: Sequence[Event]) -> dict[str, float]:
    """Return how many runs were queued at the kill, and seconds from it until all had ended."""
    wanted = set(runs)
    kill = next((e for e in reversed(events) if e.kind == "fault"), None)
    ends = {
        e.run: e.t_ns
        for e in events
        if e.kind == "view" and e.run in wanted and e.data["status"] in TERMINAL
    }
    if kill is None or not wanted or wanted - set(ends):
        return {}
    drain_s = round((max(ends.values()) - kill.t_ns) / 1e9, 3)
    return {"backlog": float(len(wanted)), "drain_s": drain_s}
