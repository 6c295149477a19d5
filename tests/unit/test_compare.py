"""Two sweeps: what is worse, what cannot be told, and what is only noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.comparison.compare import Comparison, compare
from harness.comparison.sides import Side, Weight, chance_of


HOST = {"system": "Linux", "cores": 2, "python": "3.11.9", "load": [0.1]}
COLUMN = {"runtime": "engine", "profile": "fast", "settings": {"poll_s": 1.0}, "version": "1"}
FACTS: dict[str, Any] = {
    "asked": {"suite": "standard"},
    "host": HOST,
    "columns": [COLUMN],
    "skips": [],
    "planned": 1,
    "judged": 1,
    "exit_code": 0,
}
KILL = "kill(worker)"


def row(schedule: str, *violated: str, **more: Any) -> dict[str, Any]:
    """Return a judged schedule of the only cell."""
    return {
        "trial": f"t-{schedule}",
        "runtime": "engine",
        "kind": "real server",
        "case": "case[O]",
        "guard": "none",
        "fault": KILL,
        "depth": 1,
        "mode": "batch",
        "schedule": schedule,
        "outcome": "violated" if violated else "ok",
        "violated": list(violated),
        "unpredicted": [],
        "absent": [],
        "surprising": False,
        "end": "completed",
        "exact": True,
        "why": "",
        "again": "--runtime engine",
        "metrics": {"recovery": None},
        **more,
    }


def single(schedule: str, seconds: float, **more: Any) -> dict[str, Any]:
    """Return a single trial that recovered after so many seconds."""
    return row(schedule, mode="single", metrics={"recovery": {"progress_s": seconds}}, **more)


def judged(base: list[dict[str, Any]], head: list[dict[str, Any]], **facts: Any) -> Comparison:
    """Compare rows; ``facts`` are HEAD's, where they differ from BASE's."""
    sides = Side(path=Path("base"), facts=FACTS, rows=base)
    return compare(sides, Side(path=Path("head"), facts={**FACTS, **facts}, rows=head))


def told(found: Comparison) -> list[tuple[str, str]]:
    """Return weight and kind of each finding but those of recovery."""
    return [(str(f.weight), f.what) for f in found.findings if f.what not in {"recovery", "slower"}]


# Verdicts ------------------------------------------------------------------------------------


def test_same_is_nothing() -> None:
    """The same violations, predicted and even contradicting, are no news."""
    rows = [row("a"), row("b", "parity"), row("c", "x", unpredicted=["x"], surprising=True)]
    found = judged(rows, rows)
    assert 0 == found.exit_code
    assert [("noted", "contradiction")] == told(found)


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        ([row("a")], [row("a", "x")], [("worse", "violation")]),
        ([row("a", "x")], [row("a", "x", "y")], [("worse", "violation")]),
        ([row("a", "x")], [row("a")], [("better", "violation")]),
        (
            [row("a", "x")],
            [row("a", "x", unpredicted=["x"], surprising=True)],
            [("worse", "contradiction")],
        ),
        ([row("a")], [row("a", absent=["x"], surprising=True)], [("worse", "contradiction")]),
        ([row("a")], [row("b", "x")], [("noted", "other schedules")]),
        (
            [row("a")],
            [row("a"), row("b", "x", unpredicted=["x"], surprising=True)],
            [("worse", "contradiction"), ("noted", "other schedules")],
        ),
        ([row("a")], [row("a", outcome="unknown")], [("cannot tell", "unknown")]),
        ([row("a", outcome="unknown")], [row("a", "x")], [("cannot tell", "unknown")]),
        ([row("a", outcome="unknown")], [row("a")], []),
    ],
)
def test_schedule(
    base: list[dict[str, Any]], head: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    """Each way in which one schedule may differ has its weight."""
    found = judged(base, head)
    assert expected == told(found)
    worst = expected[0][0] if expected else "noted"
    assert {"worse": 1, "cannot tell": 2}.get(worst, 0) == found.exit_code


def test_what_is_listed_as_known_is_told_and_not_worse() -> None:
    """As in the sweep itself; a violation that the entry does not name still is."""
    place = {name: row("a")[name] for name in ("runtime", "case", "guard", "fault")}
    entry = {**place, "schedule": "*", "oracles": ["x"], "why": "it is told of"}
    head = [row("a", "x", unpredicted=["x"], surprising=True)]
    assert [("worse", "contradiction")] == told(judged([row("a")], head))
    assert [("noted", "known failure")] == told(judged([row("a")], head, known=[entry]))
    other = {**entry, "oracles": ["y"]}
    assert [("worse", "contradiction")] == told(judged([row("a")], head, known=[other]))


def test_a_race_is_judged_by_the_cell() -> None:
    """Under races one flip is chance, six in one direction are not, and six to five are."""

    def cell(*bad: int) -> list[dict[str, Any]]:
        return [row(f"s{i}", *(["x"] if i in bad else []), exact=False) for i in range(20)]

    assert 0 == judged(cell(), cell(1)).exit_code
    assert [("worse", "more violations")] == told(judged(cell(), cell(*range(6))))
    assert [("noted", "more violations")] == told(judged(cell(*range(5)), cell(*range(9, 15))))


def test_lost_cell() -> None:
    """A cell that is gone is worse; with a reason it cannot be told."""
    other = row("a", case="other[O]")
    skip = {"runtime": "engine", "case": "case[O]", "guard": "none", "fault": KILL, "reason": "no"}
    both = [row("a"), other]
    assert [("worse", "lost cell")] == told(judged(both, [other]))
    assert [("cannot tell", "lost cell")] == told(judged(both, [other], skips=[skip]))
    assert [("cannot tell", "lost cell")] == told(judged(both, [other], asked={"suite": "smoke"}))


def test_new_cell() -> None:
    """A cell without a base is noted, and worse only where it contradicts the model."""
    bad = row("a", "x", case="other[O]", unpredicted=["x"], surprising=True)
    assert 0 == judged([row("a")], [row("a"), row("a", "x", case="other[O]")]).exit_code
    assert 1 == judged([row("a")], [row("a"), bad]).exit_code


@pytest.mark.parametrize(
    ("facts", "code"),
    [({"exit_code": None}, 2), ({"planned": 2}, 2), ({"planned": 2, "budget": "1 a cell"}, 0)],
)
def test_unfinished_sweep(facts: dict[str, Any], code: int) -> None:
    """A sweep that did not end, or ran too little without a budget, tells nothing."""
    assert code == judged([row("a")], [row("a")], **facts).exit_code


def test_nothing_in_common() -> None:
    """Two sweeps without a common cell cannot be compared."""
    assert 2 == judged([], []).exit_code


def test_few_unknown_are_tolerated() -> None:
    """As in a sweep, two in a hundred may be unknown; they are noted."""
    base = [row(f"s{i}") for i in range(100)]
    assert 0 == judged(base, [row("s0", outcome="unknown"), *base[1:]]).exit_code


# Recovery ------------------------------------------------------------------------------------


def pairs(base: list[float], head: list[float], **facts: Any) -> Comparison:
    """Compare single trials of the same schedules."""
    return judged(
        [single(f"s{i}", s) for i, s in enumerate(base)],
        [single(f"s{i}", s) for i, s in enumerate(head)],
        **facts,
    )


@pytest.mark.parametrize(
    ("base", "head", "code"),
    [
        ([1.0] * 6, [1.2] * 6, 0),
        ([1.0] * 6, [1.4] * 6, 1),
        ([1.0] * 6, [1.0] * 3 + [9.0] * 3, 0),
        ([1.0] * 5, [9.0] * 5, 2),
        ([0.01] * 6, [0.05] * 6, 0),
        ([2.0] * 6, [1.0] * 6, 0),
    ],
    ids=["within", "beyond", "half of them", "too few", "too small", "faster"],
)
def test_slower(base: list[float], head: list[float], code: int) -> None:
    """Slower is beyond tolerance and chance; too few pairs cannot tell."""
    assert code == pairs(base, head).exit_code


def test_batches_tell_no_recovery() -> None:
    """In a batch runs wait for one another: its times are not looked at."""
    slow = [row(f"s{i}", metrics={"recovery": {"progress_s": 9.0}}) for i in range(9)]
    fast = [row(f"s{i}", metrics={"recovery": {"progress_s": 1.0}}) for i in range(9)]
    assert [] == judged(fast, slow).recovery


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"columns": [{**COLUMN, "settings": {"poll_s": 2.0}}]}, "poll_s = 1.0 in BASE"),
        ({"columns": [{**COLUMN, "profile": "default"}]}, "profile fast in BASE"),
        ({"host": {**HOST, "cores": 8}}, "cores 2 in BASE, 8 in HEAD"),
        ({"host": None}, "host is not recorded"),
    ],
)
def test_unequal_is_not_compared(facts: dict[str, Any], word: str) -> None:
    """Under other settings, profiles or hosts recovery is not compared, and that is said."""
    found = pairs([1.0] * 6, [9.0] * 6, **facts)
    assert (2, []) == (found.exit_code, found.recovery)
    (finding,) = found.of(Weight.UNCLEAR)
    assert word in finding.note


def test_slow_machine_is_no_regression() -> None:
    """Where the controls became as much slower, it is the machine; where not, it is not."""

    def rows(own: float, control: float) -> list[dict[str, Any]]:
        controls = [single(f"s{i}", control, runtime="control", kind="control") for i in range(6)]
        return [*[single(f"s{i}", own) for i in range(6)], *controls]

    assert 0 == judged(rows(1.0, 0.2), rows(2.0, 0.4)).exit_code
    assert 1 == judged(rows(1.0, 0.2), rows(2.0, 0.2)).exit_code


def test_sign_test() -> None:
    """Six heads of six have a chance of one in 64; none of any is certain."""
    assert 1 / 64 == chance_of(6, 6)
    assert 1.0 == chance_of(0, 5)
