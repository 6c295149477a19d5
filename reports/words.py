"""States, their signs and words: the same on every page, never colour alone."""

from __future__ import annotations

import inspect

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.faults import FAULTS
from harness.oracles import ORACLES


@dataclass(frozen=True, slots=True)
class State:
    """How a state looks: ``key`` is its CSS class, ``sign`` and ``word`` stand on its face."""

    key: str
    sign: str
    word: str
    about: str


STATES: Mapping[str, State] = {
    state.key: state
    for state in (
        State("clean", "✓", "clean", "no oracle objects, and the run ended as it should"),
        State(
            "escalated",
            "⚑",
            "escalated",
            "the run stopped and told a human what is in doubt, as the model says it should",
        ),
        State(
            "predicted",
            "✗",
            "violated as predicted",
            "a real violation: what the runtime promises does not rule it out",
        ),
        State(
            "known",
            "✗",
            "known failure",
            "a violation that the promise rules out, and that is listed with where it is told of",
        ),
        State(
            "surprising",
            "‼",
            "CONTRADICTS",
            "a violation that the promise rules out, or a predicted one that did not occur",
        ),
        State(
            "unknown",
            "?",
            "unknown",
            "the fault did not come as planned, or evidence is missing: shows nothing",
        ),
        State("gap", "∅", "not measured", "nothing was run: neither a pass nor a failure"),
    )
}

EXITS: Mapping[int | None, str] = {
    0: "every verdict is as the model predicts, or is listed as known",
    1: "the model was contradicted",
    2: "too much is unknown, or fewer trials ran than planned",
    None: "the sweep did not end: what is here is partial",
}


def state_of(row: Mapping[str, Any]) -> State:
    """Return the state of one judged schedule."""
    if row["outcome"] == "unknown":
        return STATES["unknown"]
    if row["surprising"]:
        return STATES["surprising"]
    if row.get("known"):
        return STATES["known"]
    if row["outcome"] == "violated":
        return STATES["predicted"]
    return STATES["escalated" if row["end"] == "escalated" else "clean"]


def found_in(row: Mapping[str, Any]) -> str:
    """Return what is wrong with a judged schedule, in a few words; empty if nothing is."""
    parts = [", ".join(row["violated"])] if row["violated"] else []
    if row["unpredicted"]:
        parts.append(f"not predicted: {', '.join(row['unpredicted'])}")
    if row["absent"]:
        parts.append(f"predicted, but did not occur: {', '.join(row['absent'])}")
    if row.get("known"):
        parts.append(f"known: {row['known']}")
    if row["why"] and (row["outcome"] == "unknown" or row.get("disagreed")):
        parts.append(row["why"])
    return "; ".join(parts)


def count(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 cell``, ``2 cells``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: list[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _first(text: str | None) -> str:
    return " ".join((inspect.cleandoc(text or "")).split("\n\n")[0].split())


def oracles() -> dict[str, str]:
    """Return what each oracle says, in a line."""
    return {name: _first(oracle.__doc__) for name, oracle in ORACLES.items()}


def faults() -> dict[str, str]:
    """Return what each fault does, in a line."""
    return {name: fault.about for name, fault in FAULTS.items()}
