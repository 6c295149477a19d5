"""From rows to cells: one verdict for each schedule, and the exit code."""

from __future__ import annotations

from typing import Any

import pytest

from harness.summary import Cell, cells, decide, exit_code


def row(
    schedule: str, *violated: str, mode: str = "batch", surprising: bool = False, **more: Any
) -> dict[str, Any]:
    """Return a judged run of one cell."""
    return {
        "trial": f"{mode}-{schedule}",
        "runtime": "naive",
        "kind": "control",
        "case": "migration[O]",
        "guard": "none",
        "fault": "kill(worker)",
        "depth": 1,
        "mode": mode,
        "schedule": schedule,
        "outcome": "violated" if violated else "ok",
        "violated": list(violated),
        "surprising": surprising,
        "end": "completed",
        "exact": True,
        "why": "",
        **more,
    }


def one(*rows: dict[str, Any]) -> Cell:
    """Return the only cell of rows."""
    (found,) = cells(rows)
    return found


# One verdict a schedule ----------------------------------------------------------------------


def test_batch_alone() -> None:
    """What no single trial has looked at counts as the batch found it."""
    found = [row("a"), row("b", "parity")]
    assert found == decide(found)


@pytest.mark.parametrize("violated", [(), ("parity",)])
def test_agreement(violated: tuple[str, ...]) -> None:
    """A single trial that agrees confirms, and names the batch."""
    (found,) = decide([row("a", *violated), row("a", *violated, mode="single")])
    assert (True, "batch-a", "single-a") == (found["confirmed"], found["batch"], found["trial"])
    assert "disagreed" not in found


def test_agreement_in_any_order() -> None:
    """The order in which oracles are listed is no disagreement."""
    (found,) = decide([row("a", "x", "y"), row("a", "y", "x", mode="single")])
    assert "disagreed" not in found


@pytest.mark.parametrize(("batch", "single"), [(("parity",), ()), ((), ("parity",))])
def test_disagreement_under_an_exact_fault(batch: tuple[str, ...], single: tuple[str, ...]) -> None:
    """Where only one thing can happen, two answers are none."""
    (found,) = decide([row("a", *batch), row("a", *single, mode="single")])
    assert ("unknown", True) == (found["outcome"], found["disagreed"])
    said, alone = ", ".join(batch) or "clean", ", ".join(single) or "clean"
    assert f"the batch says {said}, alone it is {alone}" == found["why"]


@pytest.mark.parametrize(("batch", "single"), [(("parity",), ()), ((), ("parity",))])
def test_disagreement_under_a_race(batch: tuple[str, ...], single: tuple[str, ...]) -> None:
    """Where races decide both are true, and the worse one counts."""
    (found,) = decide(
        [row("a", *batch, exact=False), row("a", *single, mode="single", exact=False)]
    )
    assert ("violated", ["parity"], True) == (
        found["outcome"],
        found["violated"],
        found["disagreed"],
    )
    assert bool(single) is found["confirmed"]


def test_unknown_is_no_disagreement() -> None:
    """A single trial that succeeds where the batch told nothing counts."""
    (found,) = decide([row("a", outcome="unknown"), row("a", "parity", mode="single")])
    assert ("violated", True) == (found["outcome"], found["confirmed"])
    assert "disagreed" not in found


def test_single_without_batch() -> None:
    """A single trial may stand for itself."""
    (found,) = decide([row("a", mode="single")])
    assert ("", True) == (found["batch"], found["confirmed"])


# Cells ---------------------------------------------------------------------------------------


def test_counts() -> None:
    """Every schedule is counted once, by how it ended."""
    found = one(
        row("clean"),
        row("told", end="escalated"),
        row("twice", "duplicate_effect", "parity"),
        row("twice", "duplicate_effect", "parity", mode="single"),
        row("odd", "parity", surprising=True),
        row("absent", surprising=True),
        row("dark", outcome="unknown", surprising=True),
    )
    assert (6, 1, 1, 1, 2, 1) == (
        found.schedules,
        found.clean,
        found.escalated,
        found.predicted,
        found.surprising,
        found.unknown,
    )
    assert (1, 0, 2) == (found.confirmed, found.disagreed, found.violated)
    assert {"duplicate_effect": 1, "parity": 2} == found.oracles


def test_cells() -> None:
    """Runtime, case, guard, fault and depth make a cell, in order of appearance."""
    other = {"runtime": "checkpoint"}
    found = cells(
        [row("a"), row("a", **other), row("b"), row("a+b", depth=2), row("a", guard="keys")]
    )
    assert [
        ("naive", "none", 1, 2),
        ("checkpoint", "none", 1, 1),
        ("naive", "none", 2, 1),
        ("naive", "keys", 1, 1),
    ] == [(c.runtime, c.guard, c.depth, c.schedules) for c in found]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("a")], "clean"),
        ([row("a"), row("b", "parity")], "predicted"),
        ([row("a", "parity"), row("b", outcome="unknown")], "unknown"),
        ([row("a", outcome="unknown"), row("b", "parity", surprising=True)], "surprising"),
    ],
)
def test_state(rows: list[dict[str, Any]], expected: str) -> None:
    """A cell shows the worst that is in it."""
    assert expected == one(*rows).state


# Exit codes ----------------------------------------------------------------------------------


def clean(count: int, *more: dict[str, Any]) -> list[Cell]:
    """Return a cell with so many clean schedules, and more."""
    return cells([*(row(f"s{n}") for n in range(count)), *more])


def test_exit_0() -> None:
    """All as the model predicts, violations of weak guarantees included."""
    assert exit_code(clean(3, row("twice", "parity")), 4, 4, "") == 0


def test_exit_1() -> None:
    """One surprise fails the run, in either direction."""
    assert exit_code(clean(300, row("odd", "parity", surprising=True)), 301, 301, "") == 1
    assert exit_code(clean(300, row("absent", surprising=True)), 301, 301, "") == 1


@pytest.mark.parametrize(("count", "expected"), [(97, 2), (98, 0)])
def test_exit_2_for_unknown(count: int, expected: int) -> None:
    """More than two in a hundred unknown are too many."""
    dark = [row(f"dark{n}", outcome="unknown") for n in range(100 - count)]
    assert expected == exit_code(clean(count, *dark), 100, 100, "")


def test_exit_2_for_too_few() -> None:
    """Fewer than planned are too few, unless a budget says so."""
    assert exit_code(clean(3), 4, 3, "") == 2
    assert exit_code(clean(3), 4, 3, "3 a cell, seed 7") == 0


def test_exit_2_for_nothing() -> None:
    """A sweep of nothing shows nothing."""
    assert exit_code([], 0, 0, "") == 2


def test_a_surprise_outranks() -> None:
    """A contradiction of the model comes before what is unknown."""
    rows = [row("odd", "parity", surprising=True), row("dark", outcome="unknown")]
    assert exit_code(cells(rows), 9, 2, "") == 1
