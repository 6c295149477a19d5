"""A workflow stands as its worst primitive does, by evidence; what nobody showed is not measured."""

from __future__ import annotations

import json

import pytest

from harness.compat import (
    Claim,
    Column,
    Evidence,
    Mapped,
    Standing,
    fit,
    read_claims,
    read_conformance,
    totals,
)
from harness.compat_profile import (
    CompatError,
    Profile,
    Workflow,
    read_profile,
    vocabulary,
)
from harness.load import load
from harness.policy import PRIMITIVES
from harness.runtime import RuntimeUnavailableError


TEST = "tests/conformance/checks/test_sleep.py::test_sleep[x]"
STANDINGS = (Standing.NATIVE, Standing.EMULATED, Standing.UNMEASURED, Standing.MISSING)


def column(**standings):
    """Return a runtime whose primitives stand like this, by evidence."""
    evidence = {name: Evidence(standing=how, test=TEST) for name, how in standings.items()}
    return Column(name="x", evidence=evidence)


def conformance(tmp_path, primitives):
    """Return what is read of a conformance file with these primitives of one runtime."""
    file = tmp_path / "conformance.json"
    file.write_text(json.dumps({"runtimes": {"x": {"primitives": primitives}}}))
    return read_conformance(file).columns["x"]


def profile_of(tmp_path, fields):
    """Return the workflow that is read from a function's configuration."""
    file = tmp_path / "profile.json"
    base = {"retries": 0}
    file.write_text(json.dumps({"workflows": [{"id": "w", "profile": {**base, **fields}}]}))
    return read_profile(file).workflows[0]


@pytest.mark.parametrize(
    ("fields", "uses"),
    [
        ({"steps": {"run": 3, "sendEvent": 2, "parallel": 1}}, {"step": 3, "emit": 2, "gather": 1}),
        ({"events": ["a", "b"], "crons": ["* * * * *"]}, {"triggers": 2, "cron": 1}),
        ({"retries": 3}, {"retry": 1}),
        ({"concurrency": [{"limit": 1}]}, {"concurrency": 1}),
        ({"concurrency": [{"limit": 1, "key": '"all"'}]}, {"concurrency": 1}),
        ({"concurrency": [{"limit": 1, "key": "event.data.x"}]}, {"concurrency_key": 1}),
        ({"concurrency": [3]}, {"concurrency": 1}),
        ({"cancelOn": [{"event": "stop", "match": "data.x"}]}, {"cancel_on": 1}),
        (
            {"events": ["go"], "cancelOn": [{"event": "go", "match": "data.x"}]},
            {"triggers": 1, "cancel_previous": 1},
        ),
        ({"singleton": {"mode": "cancel"}}, {"singleton_cancel": 1}),
        ({"timeouts": {"start": "1m", "finish": "1h"}}, {"start_timeout": 1, "finish_timeout": 1}),
        ({"emits": ["a"], "name": "W"}, {}),
    ],
    ids=json.dumps,
)
def test_words_map_to_primitives(tmp_path, fields, uses):
    """Each word of a profile is one use of a primitive, or none at all."""
    found = profile_of(tmp_path, fields)

    assert uses == found.uses
    assert () == found.unmapped


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"steps": {"teleport": 1}}, "steps.teleport"),
        ({"quantum": {"limit": 1}}, "quantum"),
        ({"singleton": {"mode": "<computed>"}}, "no rule fits"),
        ({"concurrency": [{"limit": 1, "scope": "account", "key": '"x"'}]}, "several functions"),
    ],
    ids=json.dumps,
)
def test_what_no_primitive_covers_is_kept(tmp_path, fields, words):
    """A word without a primitive is neither dropped nor guessed, and nothing is native with it."""
    found = profile_of(tmp_path, {"steps": {"run": 1}, **fields})

    assert any(words in item for item in found.unmapped)
    assert Standing.UNMEASURED == fit(found, column(step=Standing.NATIVE)).standing


def test_undecided_places_of_an_import_are_kept(tmp_path):
    """A workflow whose code could not be read to the end is not measured."""
    file = tmp_path / "profile.json"
    item = {"id": "w", "undecided": ["a.ts:3: why"], "profile": {"steps": {"run": 1}}}
    file.write_text(json.dumps({"workflows": [item]}))

    assert ("undecided: a.ts:3: why",) == read_profile(file).workflows[0].unmapped


def test_workflow_without_retries_has_the_default_ones(tmp_path):
    """A configuration that says nothing of retries asks for those of the engine it came from."""
    file = tmp_path / "profile.json"
    file.write_text(json.dumps({"workflows": [{"id": "w", "profile": {}}]}))

    assert {"retry": 1} == read_profile(file).workflows[0].uses


def test_words_name_only_primitives():
    """The vocabulary maps to nothing but primitives that the conformance suite checks."""
    words = vocabulary()
    named = [
        *(name for names in words["steps"].values() for name in names),
        *(name for names in words["counts"].values() for name in names),
        *(name for rule in words["rule"] for name in rule["uses"]),
    ]

    assert set() == set(named) - set(PRIMITIVES)


def test_the_profile_that_comes_along():
    """All 25 workflows are read, none with a word that nothing covers; uses are counted facts."""
    profile = read_profile(None)
    by_name = {workflow.name: workflow for workflow in profile.workflows}
    tables = {table.name: table for table in profile.tables}

    assert 25 == len(profile.workflows)
    assert [] == [(w.name, w.unmapped) for w in profile.workflows if w.unmapped]
    assert {"step": 6, "triggers": 1, "sleep": 1, "cancel_previous": 1} == {
        name: count
        for name, count in by_name["gateway-handle-message"].uses.items()
        if name not in {"retry", "concurrency_key"}
    }
    assert 609 == tables["adr_profile"].uses["step",]
    assert 808 == tables["profile_2026_08"].uses["step",]
    assert [()] * 2 == [table.unmapped for table in profile.tables]


@pytest.mark.parametrize("bad", STANDINGS)
def test_workflow_stands_as_its_worst_primitive(bad):
    """Of all standings the worst one counts, and the primitives that caused it are named."""
    workflow = Workflow(name="w", uses={"step": 9, "emit": 1, "sleep": 1})
    found = fit(workflow, column(step=Standing.NATIVE, emit=bad, sleep=Standing.NATIVE))

    assert bad == found.standing
    assert ["emit"] == list(found.why) if bad != Standing.NATIVE else 3 == len(found.why)


def test_missing_is_worse_than_not_measured():
    """One primitive that is missing decides, whatever else nobody has measured."""
    workflow = Workflow(name="w", uses={"step": 1, "emit": 1})

    assert Standing.MISSING == fit(workflow, column(emit=Standing.MISSING)).standing
    assert Standing.UNMEASURED == fit(workflow, column(emit=Standing.NATIVE)).standing


@pytest.mark.parametrize("evidence", [{}, {"evidence": ""}, {"evidence": "its own documentation"}])
def test_support_without_a_test_is_not_measured(tmp_path, evidence):
    """A runtime that calls a primitive native without naming a test gets nothing for it."""
    found = conformance(tmp_path, {"sleep": {"support": "native", **evidence}})

    assert Standing.UNMEASURED == found.of("sleep").standing
    assert Standing.UNMEASURED == found.of("emit").standing


def test_support_with_a_test_counts(tmp_path):
    """What a conformance test showed stands, with the id of the test."""
    row = {"support": "emulated", "evidence": TEST, "lines": 7, "note": "a loop"}
    found = conformance(tmp_path, {"sleep": row}).of("sleep")

    assert Evidence(standing=Standing.EMULATED, test=TEST, lines=7, note="a loop") == found


def test_totals_are_weighted_by_use():
    """A primitive that is used nine times weighs nine times; each workflow counts once."""
    profile = Profile(
        source="s",
        workflows=[
            Workflow(name="a", uses={"step": 9}),
            Workflow(name="b", uses={"emit": 1}, unmapped=("x",)),
        ],
        tables=[],
    )
    found = totals(profile, column(step=Standing.NATIVE, emit=Standing.MISSING))

    assert [1, 0, 0, 1] == [found.workflows[standing] for standing in STANDINGS]
    assert [9, 0, 1, 1] == [found.uses[standing] for standing in STANDINGS]


def test_a_count_of_several_primitives_stands_as_the_worst(tmp_path):
    """Where a count does not tell two primitives apart, both are needed."""
    file = tmp_path / "profile.json"
    counts = {"concurrency": 5, "sorcery": 1}
    file.write_text(json.dumps({"workflows": [{"id": "w", "profile": {}}], "counts": counts}))
    profile = read_profile(file)
    found = totals(profile, column(concurrency=Standing.NATIVE, concurrency_key=Standing.MISSING))

    assert ("sorcery",) == profile.tables[0].unmapped
    assert 5 == found.tables["counts"][Standing.MISSING]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["no JSON"]),
        ("[]", ["runtimes", "nox -s conformance"]),
        ('{"runtimes": {"x": {}}}', ["x has no", "primitives"]),
        ('{"runtimes": {"x": {"primitives": {"fly": {}}}}}', ["fly", "do not exist"]),
        ('{"runtimes": {"x": {"primitives": {"step": {}}}}}', ["x.step", "native"]),
    ],
)
def test_conformance_file_that_is_none_is_refused(tmp_path, text, words):
    """What the suite would not write is refused with what was expected."""
    file = tmp_path / "c.json"
    file.write_text(text)
    with pytest.raises(CompatError) as refused:
        read_conformance(file)

    assert [] == [word for word in (str(file), *words) if word not in str(refused.value)]


@pytest.mark.parametrize("name", ["step_functions", "trigger_dev"])
def test_claims_cover_every_primitive_and_measure_none(name):
    """A mapping from documentation has all primitives with their pages, and no standing at all."""
    runtime = load(f"runtimes.{name}.adapter:RUNTIME", "RUNTIME")
    profile = read_profile(None)

    assert isinstance(runtime, Mapped)
    assert set(PRIMITIVES) == set(runtime.mapping)
    found = totals(profile, Column(name=name, claims=runtime.mapping))
    assert 25 == found.workflows[Standing.UNMEASURED]
    assert sum(found.uses.values()) == found.uses[Standing.UNMEASURED]
    assert sum(found.uses.values()) == sum(found.claimed["uses"].values())
    assert 0 == found.claimed["workflows"][Standing.UNMEASURED]


def test_mapping_with_a_hole_is_refused():
    """A mapping that leaves a primitive out, or says nothing of its source, is refused."""
    row = 'support = "native"\nhow = "x"\nread = true\n'
    whole = "".join(f'[{name}]\n{row}source = "page"\n' for name in PRIMITIVES)

    assert Claim(support="native", how="x", source="page", read=True) == read_claims(whole)["step"]
    with pytest.raises(CompatError, match="step"):
        read_claims(whole.replace("[step]", "[stride]"))
    with pytest.raises(CompatError, match="draw"):
        read_claims(whole.replace(f'[draw]\n{row}source = "page"', f'[draw]\n{row}source = ""'))


def test_hosted_service_is_never_available():
    """The row without a server says why, and starts nothing."""
    runtime = load("runtimes.step_functions.adapter:RUNTIME", "RUNTIME")
    with pytest.raises(RuntimeUnavailableError, match="no server of it outside AWS"):
        runtime.version()
    with pytest.raises(RuntimeUnavailableError, match="mapping only"), runtime.start(None, "fast"):
        pass
