"""What is run of too many schedules, and what of a batch is proved alone."""

from __future__ import annotations

from typing import Any

import pytest

from harness.schedule import parse
from harness.selection import to_prove, within


STEPS = [f"step_{number}" for number in range(12)]


def row(step: str, *violated: str, **more: Any) -> dict[str, Any]:
    """Return a judged run of a batch that was killed at a step."""
    return {
        "schedule": f"{step}/after_effect#1:kill(worker)",
        "outcome": "violated" if violated else "ok",
        "violated": list(violated),
        "surprising": False,
        "exact": True,
        "depth": 1,
        "end": "completed",
        **more,
    }


def proved(rows: list[dict[str, Any]], sample: int = 2, seed: int = 7) -> set[str]:
    """Return the steps whose schedules are proved."""
    return {str(one.stages[0].point.step) for one in to_prove(rows, sample, seed)}


def test_every_exact_violation_is_proved() -> None:
    """However many of one kind there are, and with no sample of clean ones."""
    rows = [row(step, "duplicate_effect") for step in STEPS[:8]]
    rows += [row(step) for step in STEPS[8:]]
    assert set(STEPS[:8]) == proved(rows, sample=0)
    assert len(proved(rows)) == 8 + 2


@pytest.mark.parametrize(
    ("more", "most"),
    [
        pytest.param({"exact": False}, 2, id="races decide"),
        pytest.param({"depth": 2}, 2, id="a second fault"),
        pytest.param({"end": "running"}, 1, id="never ends"),
        pytest.param({"end": "running", "surprising": True}, 1, id="never ends, unpredicted"),
    ],
)
def test_of_many_alike_a_sample_of_each_kind(more: dict[str, Any], most: int) -> None:
    """Each set of violated oracles is a kind of its own, and none is left out."""
    rows = [row(step, "duplicate_effect", **more) for step in STEPS[:5]]
    rows += [row(step, "ghost_running", **more) for step in STEPS[5:10]]
    rows += [row(STEPS[10], "lost_effect", **more)]
    found = proved(rows)
    assert [most, most, 1] == [
        len(found & set(STEPS[:5])),
        len(found & set(STEPS[5:10])),
        len(found & set(STEPS[10:])),
    ]
    assert found == proved(rows)


def test_what_contradicts_the_model_is_always_proved() -> None:
    """Also where races decide, and at depth 2."""
    rows = [row(step, "duplicate_effect", exact=False, depth=2) for step in STEPS[:6]]
    rows += [
        row(step, "duplicate_effect", exact=False, depth=2, surprising=True) for step in STEPS[6:]
    ]
    assert proved(rows) >= set(STEPS[6:])


def test_what_shows_nothing_is_not_proved() -> None:
    """An unknown run has no verdict that another could confirm."""
    assert set() == proved([row(step, outcome="unknown") for step in STEPS])


def test_budget_keeps_the_order() -> None:
    """As many as it allows, the same for the same seed; 0 is no limit."""
    all_ = [parse(row(step)["schedule"]) for step in STEPS]
    some = within(5, all_, 7)
    assert len(some) == 5
    assert some == [one for one in all_ if one in some] == within(5, all_, 7)
    assert any(within(5, all_, 7) != within(5, all_, seed) for seed in range(8, 20))
    assert all_ == within(0, all_, 7) == within(12, all_, 7)
