"""``bakeoff compare`` as a user has it: its words, its comment, its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store import Store


FACTS = {"asked": {}, "columns": [], "planned": 1, "judged": 1, "exit_code": 0}


def folder(parent: Path, *violated: str) -> str:
    """Write a results folder of one judged schedule; its id would end a table's cell."""
    store = Store.create(parent, FACTS)
    store.append(
        [
            {
                "trial": "t",
                "runtime": "engine",
                "kind": "library",
                "case": "case[O]",
                "guard": "none",
                "fault": "kill(worker)",
                "depth": 1,
                "mode": "batch",
                "schedule": "a|b/after_effect#1:kill(worker)",
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
            }
        ]
    )
    return str(store.path)


@pytest.fixture
def clean(home):
    """Return a folder in which nothing is violated."""
    return folder(home.path / "clean")


@pytest.fixture
def broken(home):
    """Return a folder in which the same schedule is violated."""
    return folder(home.path / "broken", "duplicate_effect")


def test_exit_codes(home, clean, broken):
    """Worse is 1, better and the same are 0, what cannot be told is 2."""
    assert [1, 0, 0] == [
        home.run("compare", *sides).code
        for sides in ((clean, broken), (broken, clean), (broken, broken))
    ]
    empty = str(Store.create(home.path / "empty", FACTS).path)
    assert 2 == home.run("compare", empty, empty).code


def test_what_is_worse_is_told(home, clean, broken):
    """The schedule, the oracle and the command that shows it again stand in every output."""
    for option in ("--json", "--markdown", "--recovery"):
        out = home.run("compare", clean, broken, option).out
        assert "/after_effect#1:kill(worker)" in out
        assert "duplicate_effect" in out
        assert "bakeoff replay" in out
    assert "a¦b" in home.run("compare", clean, broken, "--markdown").out
    found = home.run("compare", clean, broken, "--json").json()
    assert (1, "worse") == (found["exit_code"], found["findings"][0]["weight"])


def test_bad_input(home, clean):
    """What is no results folder, and two outputs at once, are wrong usage."""
    for argv in (("nonesuch", clean), (clean, "nonesuch"), (clean, clean, "--json", "--markdown")):
        done = home.run("compare", *argv)
        assert 64 == done.code, done.text
        assert "Traceback" not in done.text
