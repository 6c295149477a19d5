"""A gateway's log under damage, its list of steps, a human's word: on real processes.

Each safeguard is taken away in turn as well: the same trial must then contradict the model.
"""

from __future__ import annotations

import sys

from pathlib import Path

import pytest

from support.campaign import runtime
from support.sweeps import sweep

from harness.suite import situations, targets
from runtimes.reference.gateway import guard


SCRIPT = Path(__file__).parent / "defects" / "gateway.py"
NUMBERS = ("8b", "18a", "18b", "18c", "19a", "19b", "24", "27a", "27b")
ENDS = {
    "8b": "escalated",
    "18a": "completed",
    "18b": "escalated",
    "18c": "escalated",
    "19a": "completed",
    "19b": "escalated",
    "24": "escalated",
    "27a": "escalated",
    "27b": "escalated",
}
"""Where a run ends that a checkpoint library carries out; who plans anew completes 27."""
SHOWN = {
    "no_anchor": ("18b", "checkpoint", "duplicate_effect"),
    "any_step": ("24", "checkpoint", "parity"),
    "no_intent": ("19a", "checkpoint", "unlogged_effect"),
    "used_again": ("8b", "checkpoint", "unapproved"),
    "loose_word": ("27b", "reference", "unapproved"),
}
"""For each defect the situation and the runtime in which it shows, and the oracle that sees it."""


def row(number: str):
    """Return the row of the semantic suite that a situation is, behind the gateway."""
    (one,) = [
        one
        for one in situations("semantic", "gateway")
        if one["name"].startswith(f"{number} ") and one["guard"] == "gateway"
    ]
    (found,) = [
        target
        for target in targets("semantic", [], [], "gateway")
        if target.case.id == one["case"]
        and [f"{p}:{f}" for p in target.points for f in target.faults] == [one["schedule"]]
    ]
    return found


@pytest.mark.parametrize("name", ["checkpoint", "reference"])
@pytest.mark.parametrize("number", NUMBERS)
def test_nothing_comes_twice_and_nothing_is_believed(number, name, tmp_path):
    """It goes on where it can know, and hands the run to a human where nobody can."""
    found = sweep(runtime(name), tmp_path, row(number), confirm=False)

    assert [] == found.surprises
    assert [] == found.skips
    (judged,) = found.broken
    wanted = "completed" if (number[:2], name) == ("27", "reference") else ENDS[number]
    assert ("ok", wanted) == (judged["outcome"], judged["end"])


@pytest.mark.parametrize("defect", list(SHOWN))
def test_a_gateway_without_a_safeguard_is_convicted(defect, tmp_path, monkeypatch):
    """It contradicts the model, by the oracle that is there for it."""
    number, name, oracle = SHOWN[defect]
    monkeypatch.setattr(guard, "ARGV", (sys.executable, str(SCRIPT), defect))

    found = sweep(runtime(name), tmp_path, row(number), confirm=False)

    (judged,) = found.broken
    assert judged["surprising"]
    assert oracle in judged["unpredicted"], found.surprises
