"""Known failures: shown, red, and no failure of the sweep; unless they do not occur."""

from __future__ import annotations

from typing import Any

import pytest

from harness.faults import FAULTS
from harness.known import KnownError, fits, listed, mark, read
from harness.load import names
from harness.oracles import ORACLES
from harness.suite import suites, targets
from harness.summary import cells, exit_code


ENTRY: dict[str, Any] = {
    "runtime": "acme",
    "case": "shop[O]",
    "guard": "none",
    "fault": "kill(base)",
    "schedule": "finalize#*",
    "oracles": ["broken_chain", "ghost_running"],
    "why": "told",
    "link": "there",
}


def row(*unpredicted: str, schedule: str = "finalize#1:kill(base)", **more: Any) -> dict[str, Any]:
    """Return a judged run that violates what is not predicted."""
    return {
        **{name: ENTRY[name] for name in ("runtime", "case", "guard", "fault")},
        "kind": "real server",
        "depth": 1,
        "mode": "alone",
        "trial": "t",
        "schedule": schedule,
        "outcome": "violated" if unpredicted else "ok",
        "violated": list(unpredicted),
        "unpredicted": list(unpredicted),
        "absent": [],
        "surprising": bool(unpredicted),
        "end": "running",
        "exact": False,
        "why": "",
        **more,
    }


def test_a_listed_violation_is_no_surprise() -> None:
    """It is shown as known, counts as violated, and the sweep exits 0."""
    (cell,) = cells([row("broken_chain", "ghost_running")], read([ENTRY]))
    assert ("known", 1, 0, 1) == (cell.state, cell.known, cell.surprising, cell.violated)
    assert "told there" == cell.rows[0]["known"]
    assert 0 == exit_code([cell], 1, 1, "")


@pytest.mark.parametrize(
    "other",
    [
        row("broken_chain", "duplicate_effect"),
        row("broken_chain", schedule="pay/after_ack#1:kill(base)"),
        row("broken_chain", guard="keys"),
        row("broken_chain", absent=["parity"]),
    ],
)
def test_what_is_not_listed_is_one(other: dict[str, Any]) -> None:
    """Another oracle, point or guard, or something else amiss, is not excused."""
    (cell,) = cells([other], read([ENTRY]))
    assert ("surprising", 0) == (cell.state, cell.known)
    assert 1 == exit_code([cell], 1, 1, "")


def test_what_always_occurs_and_does_not_is_one() -> None:
    """An unexpected pass fails too; where a race decides, it does not."""
    passed = row()
    (found,) = mark([passed], read([{**ENTRY, "always": True}]))
    assert (True, ["broken_chain", "ghost_running"]) == (found["surprising"], found["absent"])
    assert [passed] == mark([passed], read([ENTRY]))


def test_a_star_stands_for_any_text() -> None:
    """Brackets are those of a case, and nothing else is more than itself."""
    assert fits("shop[O]", "shop[O]")
    assert fits("shop[K,slow]", "shop[*]")
    assert not fits("shopO", "shop[O]")
    assert not fits("shop[O]", "shop?O?")


def test_unknown_stays_unknown() -> None:
    """A run that shows nothing neither confirms an entry nor breaks it."""
    found = row(outcome="unknown")
    assert [found] == mark([found], read([{**ENTRY, "always": True}]))


def test_a_faulty_entry() -> None:
    """An entry with a field too few or too many is refused."""
    for entry in ({**ENTRY, "oracle": "x"}, {"runtime": "acme"}):
        with pytest.raises(KnownError, match="a known failure has runtime"):
            read([entry])


def test_the_list_names_what_there_is() -> None:
    """Each entry is of runtimes, cases, faults and oracles that exist, and gives its reason."""
    every = {target.case.id for name in suites() for target in targets(name, [], [], "")}
    for entry in listed():
        assert any(fits(name, entry.runtime) for name in names("runtimes"))
        assert any(fits(name, entry.case) for name in every)
        assert any(fits(name, entry.fault) for name in FAULTS)
        assert set(entry.oracles) <= set(ORACLES)
        assert len(entry.why) > 20
