"""Runtimes behind a gateway, on real processes: no kill, zombie, late packet or drift does harm."""

from __future__ import annotations

import dataclasses

from contextlib import contextmanager

import pytest

from support.campaign import runtime
from support.sweeps import sweep, target

from harness import sweep as sweeping
from harness.guardian import guarding
from harness.history import read
from harness.schedule import Point


CASE = "migration[V]"
UNSAFE = ["naive", "checkpoint"]
ASKED = {
    "K": set(),
    "Q": set(),
    "V": {"truncate_source", "notify"},
    "O": {"truncate_source", "notify"},
}
"""Of which effects nobody but a human can say, by tier, whether they were done."""


def _violated(found):
    return {name for row in found.broken for name in row["violated"]}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *((name, "kill(worker)") for name in (*UNSAFE, "reference")),
        ("checkpoint", "pause(worker)"),
        ("reference", "late(request)"),
    ],
)
def test_whoever_dies_or_wakes_nothing_comes_twice(name, fault, tmp_path):
    """Whatever the runtime itself forgets, the gateway answers what was done from its log."""
    found = sweep(runtime(name), tmp_path, target(CASE, fault, guard="gateway"), confirm=False)

    assert [] == found.surprises
    assert set() == _violated(found)
    assert found.judged == found.planned > 0
    assert {"completed"} == {row["end"] for row in found.broken}


def test_a_false_premise_is_refused(tmp_path):
    """Nothing is written on it, and a human is asked, since the engine cannot plan anew."""
    row = target(CASE, "drift(world)", guard="gateway")

    found = sweep(runtime("checkpoint"), tmp_path, row, confirm=False)

    assert [] == found.surprises
    assert set() == _violated(found)
    assert {"completed", "escalated"} == {judged["end"] for judged in found.broken}


def test_the_reference_plans_anew(tmp_path):
    """Where it can be told, nobody has to be asked: it reads again, and goes on."""
    row = target(CASE, "drift(world)", guard="gateway")

    found = sweep(runtime("reference"), tmp_path, row, confirm=False)

    assert [] == found.surprises
    assert set() == _violated(found)
    assert {"completed"} == {judged["end"] for judged in found.broken}


@pytest.mark.parametrize("tier", ["K", "Q", "V", "O"])
def test_the_gateway_itself_is_killed(tier, tmp_path):
    """What it had sent is settled by what the provider promises, else a human is asked."""
    row = target(f"migration[{tier}]", "kill(gateway)", guard="gateway")

    found = sweep(runtime("checkpoint"), tmp_path, row, confirm=False)

    assert [] == found.surprises
    assert set() == _violated(found)
    asked = {
        judged["schedule"].partition("/")[0]
        for judged in found.broken
        if judged["end"] != "completed"
    }
    assert asked == ASKED[tier]


def test_a_gateway_explains_a_dead_run(tmp_path):
    """Asked before anybody comes after the worker, it knows all that was done, and that it was."""
    row = dataclasses.replace(
        target(CASE, "kill(worker)", guard="gateway"), points=(Point("notify", "after_effect"),)
    )
    sweep(runtime("checkpoint"), tmp_path, row, confirm=False)
    (file,) = tmp_path.glob("2*/trials/checkpoint/*/kill_worker/alone-*/history.jsonl")
    events = read(file)

    meanwhile, end = [event for event in events if event.kind == "explained"]
    fault = next(event.index for event in events if event.kind == "fault")
    heir = [event.index for event in events if event.kind == "spawn"][-1]
    assert fault < meanwhile.index < heir < end.index
    assert [] == meanwhile.data["unresolved"]
    assert ("done", "notify") in [(one["kind"], one["slot"]) for one in meanwhile.data["true"]]
    assert ["go on"] == [one["kind"] for one in meanwhile.data["next"]]
    assert "capability" in {one["kind"] for one in meanwhile.data["authority"]}


def test_a_guard_that_guards_nothing_is_seen(tmp_path, monkeypatch):
    """A gateway that lets everything through contradicts the model, and is convicted."""

    class Open:
        address = ""

        def __init__(self, guardian, world):
            self.service, self.address = guardian.service, f"http://{world}"

        def admit(self, scopes, **more):
            """Let everything through."""

        def standings(self, runs):
            """Know of none."""
            return dict.fromkeys([], runs)

        def explain(self, runs):
            """Say nothing."""
            return dict.fromkeys([], runs)

    real = guarding("gateway")

    @contextmanager
    def start(runner, folder, world, tier, *more):
        with real(runner, folder, world, tier, *more) as guardian:
            yield Open(guardian, world)

    monkeypatch.setattr(sweeping, "guarding", lambda _: start)
    row = target(CASE, "kill(worker)", guard="gateway")

    found = sweep(runtime("checkpoint"), tmp_path, row, confirm=False)

    assert "duplicate_effect" in _violated(found)
    assert any("unpredicted ['duplicate_effect']" in told for told in found.surprises)


@pytest.mark.parametrize("fault", ["lose(reply)", "hang(handler)", "slow(handler)"])
def test_what_is_not_modelled_is_not_measured(fault, tmp_path):
    """A cell whose meaning nobody has written down is skipped with that reason, never passed."""
    found = sweep(
        runtime("checkpoint"), tmp_path, target(CASE, fault, guard="gateway"), confirm=False
    )

    assert 0 == found.judged
    assert any("not modelled" in told for told in found.skips)
