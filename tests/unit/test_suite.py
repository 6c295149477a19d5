"""Suites: the cells that a sweep has, from names or from the file."""

from __future__ import annotations

import re

from pathlib import Path

import pytest

from harness.effects import Guard
from harness.faults import FAULTS, FaultError
from harness.load import LoadError, names
from harness.scenario import ScenarioError
from harness.suite import (
    DEFAULT_FAULTS,
    case,
    columns,
    default_case,
    situations,
    suites,
    targets,
)
from harness.sweep import Target


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", list(suites()))
def test_every_suite_can_be_planned(name: str) -> None:
    """Each suite of the file names cases, guards and faults that exist."""
    found = targets(name, [], [], "")
    assert found
    assert {fault for target in found for fault in target.faults} <= set(FAULTS)
    schedules = [(t.case.id, t.guard, name, t.points) for t in found for name in t.faults]
    assert len(schedules) == len(set(schedules))
    assert suites()[name]["about"]


def test_every_situation_has_its_schedule() -> None:
    """A situation is one schedule of a cell, which is tried at that point only."""
    found = situations("finalization")
    assert len(found) == len({one["name"] for one in found}) == 11
    cells_ = targets("finalization", [], [], "")
    assert [one["schedule"] for one in found] == [f"{t.points[0]}:{t.faults[0]}" for t in cells_]
    assert [] == situations("smoke")


def test_the_semantic_suite_has_all_27() -> None:
    """Each of the 27 is there, with schedules behind guards."""
    found = situations("semantic")
    numbers = {int(re.match(r"\d+", one["name"])[0]) for one in found}  # type: ignore[index]
    assert set(range(1, 28)) == numbers
    rows = targets("semantic", [], [], "")
    tried = {(t.case.id, str(t.guard), s) for t in rows for s in _schedules(t)}
    assert tried == {(o["case"], o["guard"], o["schedule"]) for o in found}


def _schedules(row: Target) -> list[str]:
    """Return the schedules that a target is tried with."""
    then = [str(point) for point in row.then]
    return [
        "+".join(f"{point}:{fault}" for point in (str(first), *then))
        for fault in row.faults
        for first in row.points
    ] or ["golden"]


def test_situations_behind_one_guard() -> None:
    """A guard that is asked for leaves the cells that are tried behind it."""
    only = situations("semantic", "keys")
    assert {"keys"} == {one["guard"] for one in only if "case" in one}
    assert {Guard.KEYS} == {t.guard for t in targets("semantic", [], [], "keys")}
    assert {"none"} == {one["guard"] for one in situations("finalization")}


def test_a_suite_may_name_its_runtimes() -> None:
    """The short suites run the eight that the README has, the long ones all."""
    assert (8, 8, 0) == tuple(len(columns(name)) for name in ("smoke", "standard", "full"))
    assert set(columns("standard")) <= set(names("runtimes"))


def test_what_is_about_one_schedule_keeps_its_fault() -> None:
    """Named faults choose among situations, and take the place of those of other cells."""
    (wiped,) = targets("finalization", [], ["wipe(store)"], "")
    assert (("wipe(store)",), 1) == (wiped.faults, len(wiped.points))
    assert {("pause(worker)",)} == {
        t.faults for t in targets("standard", [], ["pause(worker)"], "")
    }
    with pytest.raises(LoadError, match=r"finalization has no cell with skew\(clock\)"):
        targets("finalization", [], ["skew(clock)"], "")


def test_smoke() -> None:
    """The smoke suite is one cell."""
    (found,) = targets("smoke", [], [], "")
    assert ("migration[O]", Guard.NONE, ("kill(worker)",)) == (
        found.case.id,
        found.guard,
        found.faults,
    )


def test_full_has_every_fault() -> None:
    """The full suite tries every fault that there is."""
    assert set(FAULTS) == {name for row in targets("full", [], [], "") for name in row.faults}


def test_scenarios_instead_of_a_suite() -> None:
    """Named scenarios are tried with the default faults, unguarded."""
    first, second = targets("smoke", ["fan_out", "migration[K,throttled]"], [], "")
    assert ("fan_out[O]", "migration[K,throttled]") == (first.case.id, second.case.id)
    assert (Guard.NONE, DEFAULT_FAULTS) == (first.guard, first.faults)


def test_named_faults_and_guard() -> None:
    """Named faults and a named guard replace those of the suite."""
    found = targets("standard", [], ["lose(reply)"], "keys")
    assert {("lose(reply)",)} == {target.faults for target in found}
    assert {Guard.KEYS} == {target.guard for target in found}


def test_default_case() -> None:
    """Where no case is named, the standard suite's first is meant."""
    assert default_case() == "migration[O]"


def test_unknown_suite() -> None:
    """An unknown suite is refused, with those there are."""
    with pytest.raises(LoadError) as caught:
        targets("huge", [], [], "")
    assert f"unknown suite 'huge'; known: {', '.join(suites())}" == str(caught.value)


def test_unknown_fault() -> None:
    """An unknown fault is refused before anything is loaded."""
    with pytest.raises(
        FaultError, match=r"unknown fault 'kill\(everyone\)'; known: kill\(worker\)"
    ):
        targets("huge", ["nowhere"], ["kill(everyone)"], "")


def test_unknown_scenario() -> None:
    """An unknown scenario is refused, with those there are."""
    with pytest.raises(LoadError, match=r"unknown scenario 'nowhere'; known: .*migration"):
        case("nowhere[O]")


def test_unknown_tier() -> None:
    """A tier or variant that the scenario does not have is refused."""
    with pytest.raises(ScenarioError, match="has no tier or variant 'Z'"):
        case("migration[Z]")


def test_a_file(tmp_path: Path) -> None:
    """A scenario may be a file of one's own, with a tier."""
    path = tmp_path / "mine.py"
    path.write_text("from scenarios.fan_out import SCENARIO\n")
    found = case(f"{path}[K]")
    assert ("fan_out[K]", f"{path}:") == (found.id, found.ref)
