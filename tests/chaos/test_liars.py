"""Runtimes and scenarios that are single files, given from an empty folder: liars are found."""

from __future__ import annotations

import shutil

from pathlib import Path

import pytest


FILES = Path(__file__).parent / "liars"
LIARS = {
    "boaster": ("duplicate_effect", "after_effect"),
    "forgetful": ("lost_effect", "before_effect"),
    "hasty": ("duplicate_effect", "after_ack"),
}


def _run(home, name):
    for file in (f"{name}.py", "shop.py"):
        shutil.copy(FILES / file, home.path)
    return home.run(
        "run",
        *("--runtime", f"./{name}.py:{name.upper()}"),
        *("--scenario", "./shop.py"),
        *("--fault", "kill(worker)"),
        "--no-controls",
        "--json",
    )


@pytest.mark.parametrize("name", LIARS)
def test_liar_is_found(name, home):
    """A runtime that does not do what it declares makes the run exit 1, by the named oracle."""
    oracle, phase = LIARS[name]

    done = _run(home, name)

    assert 1 == done.code, done.text
    (cell,) = done.json()["cells"]
    assert cell["surprising"] > 0
    assert cell["oracles"][oracle] > 0
    listed = home.run("list", "--results", "results/latest", "--json").json()
    found = {row["schedule"] for row in listed if oracle in row["unpredicted"]}
    assert found
    assert all(f"/{phase}#1" in schedule for schedule in found)


def test_honest_runtime_passes(home):
    """A runtime that does what it declares passes, although it repeats the step in flight."""
    done = _run(home, "honest")

    assert 0 == done.code, done.text
    (cell,) = done.json()["cells"]
    assert 2 == cell["predicted"]
    assert 0 == cell["surprising"] == cell["unknown"]


def test_plain_words_tell_what_contradicts(home):
    """Without --json the line of the cell says it, and the last words say what exit 1 means."""
    for file in ("boaster.py", "shop.py"):
        shutil.copy(FILES / file, home.path)

    done = home.run(
        "run", "--runtime", "./boaster.py:BOASTER", "--scenario", "./shop.py", "--no-controls"
    )

    assert 1 == done.code, done.text
    assert "CONTRADICT THE MODEL" in done.out
    assert "exit 1" in done.out
