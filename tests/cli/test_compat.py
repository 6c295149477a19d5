"""`bakeoff compat` and `bakeoff import` as a user has them."""

from __future__ import annotations

import json

from pathlib import Path

import pytest

from harness.policy import PRIMITIVES


USAGE = 64
APP = Path(__file__).parents[1] / "data" / "typescript_app"
TEST = "tests/conformance/checks/test_x.py::test_x[{}]"


def evidence(home, **support):
    """Write a conformance file with one runtime that has everything, but for these."""
    primitives = {
        name: {"support": support.get(name, "native"), "evidence": TEST.format(name)}
        for name in PRIMITIVES
    }
    runtime = {"version": "1.0", "profile": "fast", "primitives": primitives}
    data = {"when": "today", "host": {"cpus": 2}, "runtimes": {"mine": runtime}}
    file = home.path / "conformance.json"
    file.write_text(json.dumps(data))
    return "--conformance", file.name


def test_without_evidence_nothing_is_said(home):
    """Where there is no conformance file the command says how to make one, and nothing else."""
    done = home.run("compat")

    assert (USAGE, "") == (done.code, done.out)
    assert "nox -s conformance" in done.err
    assert "Traceback" not in done.err


def test_workflows_stand_by_evidence(home):
    """Each of the 25 workflows stands as its worst primitive; the test is named."""
    done = home.run("compat", *evidence(home, emit="emulated", debounce="missing"), "--json")
    found = done.json()
    assert {"cpus": 2} == found["conformance"]["host"]
    by_name = {row["id"]: row["runtimes"]["mine"] for row in found["workflows"]}

    assert 25 == len(by_name)
    assert "native" == by_name["agent-loop-complete"]["standing"]
    assert ("emulated", ["emit"]) == (
        by_name["agent-loop-plan"]["standing"],
        by_name["agent-loop-plan"]["why"],
    )
    assert "missing" == by_name["system/content-sync"]["standing"]
    shown = by_name["agent-loop-plan"]["primitives"]["emit"]
    assert TEST.format("emit") == shown["test"]
    totals = found["runtimes"]["mine"]["workflows"]
    assert {"native": 6, "emulated": 18, "not measured": 0, "missing": 1} == totals


def test_rows_without_a_server_are_mapped_not_measured(home):
    """A hosted service is shown with its reason; what its pages claim is no standing."""
    done = home.run("compat", *evidence(home), "--runtime", "step-functions", "--json")
    (row,) = done.json()["runtimes"].values()

    assert {"native": 0, "emulated": 0, "not measured": 25, "missing": 0} == row["workflows"]
    assert "no server of it outside AWS" in row["not_measured"]
    assert row["claimed"]["uses"]["native"] > 0


def test_text_names_what_is_missing(home):
    """The page for people has a line for each workflow, and each primitive that is no native one."""
    done = home.run("compat", *evidence(home, debounce="missing"), "--runtime", "mine")

    assert "missing: debounce (1) tests/conformance/checks/test_x.py::test_x[debounce]" in done.out
    assert 1 == done.out.count("system/content-sync")


def test_imported_profile_is_judged(home):
    """What the importer writes, compat reads; what was undecided is not measured."""
    done = home.run("import", str(APP), "-o", "profile.json")
    assert 0 == done.code, done.text
    assert "7 functions in 9 files, 8 places undecided" in done.out
    assert "src/functions/doubtful.ts:14: which method" in done.out

    judged = home.run("compat", "profile.json", *evidence(home), "--json")
    rows = {row["id"]: row["runtimes"]["mine"]["standing"] for row in judged.json()["workflows"]}
    assert {
        "preset": "not measured",
        "far": "not measured",
        "order": "native",
        "render": "native",
        "first": "native",
        "second": "not measured",
        "third": "native",
    } == rows


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("compat", "none.json"), ["none.json", "cannot be read"]),
        (("compat", "bad.json"), ["bad.json", "no JSON"]),
        (("compat", "empty.json"), ["workflows", "seen the fields a"]),
        (("compat", "odd.json"), ["workflow 1", '"id"', '"profile"']),
        (("compat", "--runtime", "nonesuch"), ["nonesuch", "temporal"]),
        (("import", "none", "-o", "p.json"), ["none", "does not exist"]),
        (("import", ".", "-o", "p.json"), ["createFunction()", "package.json"]),
        (("import", str(APP), "-o", "no/p.json"), ["no/p.json", "cannot be written"]),
        (("import", str(APP)), ["--output"]),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, tuple) else "",
)
def test_bad_input_is_refused(home, argv, words):
    """What cannot be used is refused with what was expected, and exit code 64."""
    (home.path / "bad.json").write_text("{")
    (home.path / "empty.json").write_text('{"a": 1}')
    (home.path / "odd.json").write_text('{"workflows": [{"id": 1}]}')
    more = evidence(home) if argv[0] == "compat" else ()
    done = home.run(*argv, *more)

    assert (USAGE, "") == (done.code, done.out)
    assert "Traceback" not in done.err
    assert [] == [word for word in words if word not in done.err], done.err
