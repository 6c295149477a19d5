"""Runtimes on real servers, killed at every point: what is judged is what the servers themselves have."""

from __future__ import annotations

import shutil

import pytest

from support.campaign import runtime
from support.sweeps import sweep, target

from runtimes.reference.live import knot


pytestmark = [pytest.mark.engine, pytest.mark.slow]
MOVE, PUSH, FORCED = (
    "scenarios.live.move:SCENARIO[K]",
    "scenarios.live.push:SCENARIO[V]",
    "scenarios.live.push:SCENARIO[O]",
)


def _swept(name, folder, case, fault, guard="none", **asked):
    """Sweep a case, or skip it where a server is not on this machine."""
    found = sweep(runtime(name), folder, target(case, fault, guard=guard), confirm=False, **asked)
    if found.skips:
        pytest.skip(found.skips[0])
    assert [] == found.surprises
    assert found.judged == found.planned > 0
    return found


def _notes(found):
    """Return what the oracles say of violations."""
    return {
        verdict["note"]
        for row in found.broken
        for verdict in row["verdicts"]
        if verdict["outcome"] == "violated"
    }


def _ends(found, end):
    return {row["schedule"].partition("#")[0] for row in found.broken if row["end"] == end}


def test_who_keeps_nothing_loses_real_rows(tmp_path):
    """The control copies emptied tables over the good copy, and truncates them again."""
    found = _swept("naive", tmp_path, MOVE, "kill(worker)")

    notes = _notes(found)
    assert "db/new_users is [], the model has ['ada', 'grace', 'edsger']" in notes
    assert "truncate_users was applied twice" in notes


def test_whoever_asks_again_is_answered_from_the_log(tmp_path):
    """The same control behind a gateway: nothing twice, nothing lost, nobody asked."""
    found = _swept("naive", tmp_path, MOVE, "kill(worker)", "gateway")

    assert set() == _notes(found)
    assert {"completed"} == {row["end"] for row in found.broken}


def test_the_holder_of_the_log_dies(tmp_path):
    """Rows by their key, a name by what the server has; only of a mail a human must say."""
    found = _swept("reference", tmp_path, MOVE, "kill(gateway)", "gateway")

    assert set() == _notes(found)
    assert {"notify/before_effect", "notify/after_effect"} == _ends(found, "escalated")


def test_the_agent_with_the_log_dies(tmp_path):
    """The same without a gateway: who plays the program has the log, and is killed with it."""
    found = _swept("reference", tmp_path, MOVE, "kill(worker)", "keys")

    assert set() == _notes(found)
    assert {"notify/before_effect", "notify/after_effect"} == _ends(found, "escalated")


def test_a_colleague_pushes_meanwhile(tmp_path):
    """With a lease and a log every commit stays, and ours is there once; of mail a human is asked."""
    found = _swept("reference", tmp_path, PUSH, "drift(world)")

    assert set() == _notes(found)
    assert {"tell/before_effect", "tell/after_effect"} == _ends(found, "escalated")


def test_a_forced_push_loses_a_commit(tmp_path):
    """Who calls again what it had called, with force, takes a colleague's commit away."""
    found = _swept("checkpoint", tmp_path, FORCED, "drift(world)")

    lost = "git/main has lost 'bump the version', which a stranger had added"
    assert lost in _notes(found)
    assert "push was applied twice" in _notes(found)


def test_a_server_that_is_not_here_is_not_measured(tmp_path, monkeypatch):
    """The cell has the reason, and the command that changes it."""
    monkeypatch.setattr(knot.shutil, "which", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)

    found = sweep(runtime("naive"), tmp_path, target(MOVE, "kill(worker)"), confirm=False)

    (skip,) = found.skips
    assert "apt-get install" in skip
    assert [] == found.rows
