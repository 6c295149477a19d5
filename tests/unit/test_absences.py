"""Absences: how long one is away, what the model makes of it, and who judges it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.effects import Guard, Json
from harness.faults.absences import ABSENCE_S, absence, liveness_s
from harness.history import Event, History
from harness.model import expect, ideal
from harness.oracle import Expectation, assess
from harness.plan import arg_of
from harness.runtime import Guarantee
from harness.scenario import Case
from harness.schedule import ATTACH, Point, ScheduleError, parse
from harness.signature import Evidence, Signature, classify, diagnosis, evidence
from harness.suite import case


MIGRATION = case("migration[O]")
NOTHING = Expectation(
    exact=True,
    ends=frozenset({"completed"}),
    violated=frozenset(),
    permitted=frozenset(),
    owed=(("r", "pay"),),
    world={},
    output=None,
)


def expected(
    text: str,
    settings: dict[str, Json],
    of: Case = MIGRATION,
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE,
) -> Expectation:
    """Return what the model expects of a schedule."""
    return expect(of, parse(text), guarantee, Guard.NONE, settings, "r", arg_of(of, "r"))


# How long ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "longer", "says"),
    [
        ({}, False, "no budget limits it"),
        ({"budget_s": None}, False, "no budget limits it"),
        ({"budget_s": 27.1}, True, "the budget is 27.1 s"),
        ({"budget_s": 86400}, False, "the budget of 86,400 s is not used up"),
    ],
)
def test_an_absence_outlasts_the_budget(settings: dict[str, Json], longer: bool, says: str) -> None:
    """It is longer than what the engine bears, where that can be waited for, and says which."""
    for_s, why = absence(settings)
    assert (longer, says) == (for_s > ABSENCE_S, why)
    assert not longer or for_s > float(str(settings["budget_s"]))


@pytest.mark.parametrize(
    ("settings", "timer_s"),
    [
        ({}, 0.0),
        ({"governs": {"dead_worker": "beat_s"}, "beat_s": 2.0}, 2.0),
        ({"governs": {"dead_worker": "ping"}, "ping": "30s", "link_timer_s": 13.2}, 30.0),
        ({"governs": {"dead_worker": "who"}, "who": "the next worker"}, 0.0),
    ],
)
def test_the_timer_of_the_dead(settings: dict[str, Json], timer_s: float) -> None:
    """It is the longest of those that the runtime names, whether a number or a text."""
    assert timer_s == liveness_s(settings)


def test_attach_is_a_point() -> None:
    """The moment before any run can be written, and misspelt points are still refused."""
    assert Point("", ATTACH) == parse("attach#1:refuse(worker)").stages[0].point
    with pytest.raises(ScheduleError, match="attach"):
        parse("attached#1:refuse(worker)")


# What the model makes of it ------------------------------------------------------------------


def test_a_budget_that_is_used_up_is_a_violation_that_is_predicted() -> None:
    """A run may be given up by such settings, and that is no right end of it."""
    short = expected("finalize#1:gone(worker)", {"budget_s": 20.0})
    assert {"broken_chain", "ghost_running"} <= short.permitted
    assert {"completed"} == short.ends
    for settings in ({}, {"budget_s": None}, {"budget_s": 1e6}):
        assert not expected("finalize#1:gone(worker)", settings).permitted


def test_a_slow_step_may_do_no_harm() -> None:
    """Nobody is dead: nothing is permitted, under any promise."""
    for guarantee in Guarantee:
        found = expected("notify/after_effect#1:slow(handler)", {}, guarantee=guarantee)
        assert (True, frozenset()) == (found.exact, found.permitted)


def test_an_emptied_store_loses_the_run() -> None:
    """It must be lost: a run that completes shows that something else was emptied."""
    found = expected("notify/before_effect#1:wipe(store)", {})
    assert ({"lost_run"}, {"absent"}, True) == (found.violated, found.ends, found.exact)


def test_a_killed_server_forgets_only_what_was_in_its_memory_alone() -> None:
    """A lost run is as predicted where the store is declared volatile, and nowhere else."""
    for fault in ("kill(server)", "restart(backlog)", "upgrade(server)"):
        assert "lost_run" in expected(f"finalize#1:{fault}", {"volatile": True}).permitted
        for settings in ({}, {"volatile": False}):
            assert "lost_run" not in expected(f"finalize#1:{fault}", settings).permitted


def test_an_unreachable_worker_at_its_registration_harms_nothing() -> None:
    """No run has begun: each guarantee promises a whole one."""
    for guarantee in Guarantee:
        found = expected("attach#1:refuse(worker)", {}, guarantee=guarantee)
        assert ({"completed"}, frozenset()) == (found.ends, found.permitted)


def test_a_decision_that_an_orphan_has_taken_may_be_taken_again() -> None:
    """A worker that outlives its server takes the next decision; its successor asks anew."""
    found = expected("read_dns/after_ack#1:kill(server)", {})
    assert "stale_decision" in found.permitted
    assert "stale_decision" not in expected("read_dns/after_ack#1:kill(worker)", {}).permitted


def test_a_lasting_refusal_counts_for_the_end() -> None:
    """A provider that stays as it is makes the run end that way; one that recovers does not."""
    failing, throttled = case("swarm[O,failing]"), case("migration[O,throttled]")
    end = ideal(failing, "r", arg_of(failing, "r"))
    assert isinstance(end.output, dict)
    assert ["ok", "failed", "ok"] == end.output["failed"]
    assert "call_off" in end.steps
    other = ideal(throttled, "r", arg_of(throttled, "r")).output
    assert isinstance(other, dict)
    assert "ok" == other["told"]


def test_children_that_nobody_waits_for() -> None:
    """Those that were begun before a point are known, with their own, in order."""
    chain = case("chain[O]")
    end = ideal(chain, "r", arg_of(chain, "r"))
    assert () == end.begun["confirm_order"]
    assert end.begun["log_order"] == end.detached == end.children
    assert 3 == len(end.detached)


# Who judges it -------------------------------------------------------------------------------


# What operators see of it ---------------------------------------------------------------------


def seen(*lines: tuple[str, str, dict[str, Any]], moves: str = "yes") -> Signature:
    """Return the signature of a run whose live worker is at a call when it is looked at."""
    ident = {"step": "pay", "incarnation": "w-1", "seq": 1}
    history = History()
    history.append("attached", incarnation="w-1")
    history.append("call", "r", effect="irreversible", **ident)
    for kind, run, data in lines:
        history.append(kind, run, **({**ident, **data} if kind == "reply" else data))
    history.append("view", "r", status="running", moves=moves, claim="", detail={})
    found = evidence(list(history), NOTHING)
    assert found
    return classify(found)


def test_who_is_at_work_is_not_hung() -> None:
    """A live worker at a call is hung unless its heartbeats go on; what it was told counts."""
    slow = ("fault", "", {"lingers_s": 5.0})
    hung = ("reply", "r", {"reply": {"status": "hang"}})
    assert Signature.HUNG_HANDLER is seen(moves="unknown")
    assert Signature.CLEAN is seen(slow, moves="unknown")
    assert Signature.HUNG_HANDLER is seen(hung)


def test_who_is_cut_off_is_not_reachable() -> None:
    """A live worker behind a cut link can carry nothing on, until the link is healed."""
    cut, healed = ("fault", "", {"mode": "cut"}), ("undo", "", {"when": "heal"})
    assert Signature.SDK_UNREACHABLE is seen(cut)
    assert Signature.CLEAN is seen(cut, healed)


def test_attempts_govern_what_was_given_up() -> None:
    """Whatever it is called: a run that was given up without an error of its own was burnt."""
    settings = {"governs": {"attempts": "retries", "dead_worker": "beat_s"}, "retries": 70}
    burnt = Evidence(run="r", status="parked", work="done")
    assert ("retries", 70) == (
        diagnosis(burnt, settings).setting,
        diagnosis(burnt, settings).value,
    )
    assert "beat_s" == diagnosis(Evidence(run="r", status="running", work="done"), settings).setting


def wiped(status: str, *, wipe: bool = True) -> list[Event]:
    """Return a history in which a store is emptied, and what the runtime then says."""
    history = History()
    if wipe:
        history.append("wipe")
    history.append("view", "r", status=status, moves="unknown", claim="", output=None, detail={})
    return list(history)


def test_a_run_that_nobody_knows_is_lost() -> None:
    """It is a violation of its own, and neither a ghost nor unknown; whatever became of it."""
    for wipe in (True, False):
        found = assess(wiped("absent", wipe=wipe), NOTHING)
        assert ({"lost_run"}, False) == (found.violated, found.unknown)


def test_a_run_that_cannot_be_asked_for_is_not_lost() -> None:
    """An unknown status tells nothing, with an emptied store or without."""
    for wipe in (True, False):
        assert assess(wiped("unknown", wipe=wipe), NOTHING).unknown
