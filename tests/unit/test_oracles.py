"""Every oracle on literal histories: one that violates, one that is clean, and what it cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness import oracles
from harness.effects import Effect, Json, Op
from harness.guardian import Scope
from harness.history import Event
from harness.oracle import (
    Expectation,
    Finding,
    Judgement,
    Outcome,
    Verdict,
    assess,
    judge,
    last_view,
    predict,
)
from harness.oracles import EVIDENT, ORACLES


Line = tuple[str, str, dict[str, Any]]
OK, VIOLATED, UNKNOWN = Outcome.OK, Outcome.VIOLATED, Outcome.UNKNOWN
NONE = Outcome.NOT_APPLICABLE

EXPECTED = Expectation(
    exact=True,
    ends=frozenset({"completed"}),
    violated=frozenset(),
    permitted=frozenset(),
    owed=(("r", "pay"),),
    world={"log": ["paid"]},
    output={"done": True},
)


# Literal histories ---------------------------------------------------------------------------


def history(*lines: Line) -> list[Event]:
    """Return a history whose indexes and times follow the order of its lines."""
    return [Event(i, i, kind, run, data) for i, (kind, run, data) in enumerate(lines)]


def call(
    step: str, seq: int, who: str = "w1", effect: str = "irreversible", run: str = "r"
) -> Line:
    """Return a request that arrived."""
    data = {"step": step, "seq": seq, "incarnation": who, "effect": effect, "nth": 1, "op": "x"}
    return "call", run, data


def read(step: str, seq: int, who: str = "w1") -> Line:
    """Return a read that arrived."""
    return call(step, seq, who, "read")


def apply(
    step: str, seq: int, who: str = "w1", effect: str = "irreversible", broken: Sequence[str] = ()
) -> Line:
    """Return a line of the ledger."""
    data = {"step": step, "seq": seq, "incarnation": who, "effect": effect}
    return "apply", "r", {**data, "premise_broken": list(broken)}


def reply(step: str, seq: int, who: str = "w1", value: Json = None, status: str = "ok") -> Line:
    """Return an answer."""
    said = {"status": status, "value": value}
    return "reply", "r", {"step": step, "seq": seq, "incarnation": who, "reply": said}


def at(phase: str, step: str, seq: int, who: str = "w1") -> Line:
    """Return a reported phase."""
    return "at", "r", {"phase": phase, "step": step, "seq": seq, "incarnation": who}


def view(status: str, run: str = "r", **more: Any) -> Line:
    """Return what the runtime says of a run."""
    plain = {"status": status, "output": {"done": True}, "moves": "unknown", "claim": ""}
    return "view", run, {**plain, **more}


def world(**values: Json) -> Line:
    """Return the world at the end."""
    return "world", "r", {"values": values}


def added(items: list[Json], **values: Json) -> Line:
    """Return the world at the end, to whose log a stranger has added."""
    return "world", "r", {"values": values, "strange": [], "added": {"log": items}}


def gate(why: str = "", stage: int = 0) -> Line:
    """Return whether the run stood where it should."""
    return "gate", "r", {"stage": stage, "ok": not why, "why": why}


def fault(victim: str = "w1", stage: int = 0, status: int | None = 9, **more: Any) -> Line:
    """Return a fault; ``status`` is what the operating system said of the victim."""
    return (
        "fault",
        "",
        {"victim": victim, "stage": stage, "must_die": True, "status": status, **more},
    )


def ended(who: str) -> Line:
    """Return the end of a process."""
    return "exit", "", {"incarnation": who}


def scan(searched: int, *found: str) -> Line:
    """Return where secrets were looked for."""
    return "scan", "", {"searched": searched, "found": list(found)}


def bystander(outcome: str, why: str = "") -> Line:
    """Return how a bystander fared."""
    return "bystander", "", {"name": "b0", "outcome": outcome, "why": why}


def write(path: str, seq: int = 1, effect: str = "irreversible", **args: Json) -> Line:
    """Return an append of the ledger, to a path."""
    kind, run, data = apply("pay", seq, effect=effect)
    return kind, run, {**data, "op": "append", "args": {"path": path, **args}}


def word(step: str = "pay", **versions: Json) -> Line:
    """Return a human's yes, to what he was shown."""
    return "word", "r", {"step": step, "premises": versions}


def paid(seq: int = 1, **versions: Json) -> Line:
    """Return a payment, and what it rested on."""
    kind, run, data = write("bank", seq)
    rests = [{"path": path, "etag": version} for path, version in versions.items()]
    return kind, run, {**data, "premises": rests}


def anew(line: Line) -> Line:
    """Return the same, as a later plan writes it."""
    kind, run, data = line
    return kind, run, {**data, "step": f"{data['step']}@2"}


PAID = [call("pay", 1), apply("pay", 1), reply("pay", 1)]
GROUPED = replace(EXPECTED, groups={"pay": "pay", "ship": "pay"})
FAMILY = replace(EXPECTED, children=("r.child",))
DOUBTFUL = replace(EXPECTED, ends=frozenset({"escalated"}))
SCOPED = replace(EXPECTED, scope=frozenset({Scope("append", Effect.IRREVERSIBLE, "mail")}))
REVOKED = fault("", status=None, revoked=["r"])
ASKED = replace(EXPECTED, asks=frozenset({Op("append", Effect.IRREVERSIBLE)}))
FULL = fault("gateway", status=None, full=True)
TOLD: Line = ("told", "", {"text": "the log had no room for 1 records until now"})
TIMED = replace(EXPECTED, hang_timer_s=2.5)

Case = tuple[str, Outcome, Sequence[Line], Expectation, tuple[int, ...], str]

# fmt: off
CASES: list[Case] = [
    # duplicate_effect
    ("duplicate_effect", VIOLATED, [*PAID, call("pay", 1, "w2"), apply("pay", 1, "w2")], EXPECTED, (1, 4), "pay was applied twice"),
    ("duplicate_effect", VIOLATED, [apply("cut", 1, effect="hybrid"), apply("cut", 2, effect="hybrid")], EXPECTED, (0, 1), "cut was applied twice"),
    ("duplicate_effect", OK, [*PAID, call("ship", 2), apply("ship", 2)], EXPECTED, (), ""),
    ("duplicate_effect", OK, [apply("set", 1, effect="idempotent"), apply("set", 2, effect="idempotent")], EXPECTED, (), ""),
    ("duplicate_effect", VIOLATED, [apply("pay", 1), apply("pay@2", 2)], EXPECTED, (0, 1), "pay was applied twice"),
    ("duplicate_effect", OK, [], EXPECTED, (), ""),
    # cancelled_effect
    ("cancelled_effect", VIOLATED, [fault("", status=None, cancelled=["r"]), *PAID], EXPECTED, (0, 1, 2), "pay was begun after the run was cancelled"),
    ("cancelled_effect", OK, [call("pay", 1), fault("", status=None, cancelled=["r"]), apply("pay", 1)], EXPECTED, (), ""),
    ("cancelled_effect", OK, [fault("", status=None, cancelled=["other"]), *PAID], EXPECTED, (), ""),
    ("cancelled_effect", OK, [fault("", status=None, cancelled=["r"]), read("look", 1)], EXPECTED, (), ""),
    ("cancelled_effect", NONE, [fault(), *PAID], EXPECTED, (), ""),
    # cancel_ignored
    ("cancel_ignored", VIOLATED, [fault("", status=None, cancelled=["r"]), read("look", 1), *PAID], EXPECTED, (0, 1, 2), "after the cancellation it began look, pay"),
    ("cancel_ignored", VIOLATED, [fault("", status=None, cancelled=["r"]), *PAID, view("completed")], EXPECTED, (0, 1), "after the cancellation it began pay and completed"),
    ("cancel_ignored", OK, [fault("", status=None, cancelled=["r"]), *PAID, view("cancelled")], EXPECTED, (), ""),
    ("cancel_ignored", OK, [*PAID, fault("", status=None, cancelled=["r"]), view("completed")], EXPECTED, (), ""),
    ("cancel_ignored", NONE, [fault(), *PAID], EXPECTED, (), ""),
    # overreach
    ("overreach", VIOLATED, [call("pay", 1), write("bank")], SCOPED, (1,), "pay: append on bank is outside the run's scope"),
    ("overreach", VIOLATED, [write("mail", effect="idempotent")], SCOPED, (0,), "pay: append on mail is outside the run's scope"),
    ("overreach", VIOLATED, [REVOKED, call("pay", 1), write("mail")], SCOPED, (0, 1, 2), "pay was begun after its token had ended"),
    ("overreach", OK, [call("pay", 1), write("mail")], SCOPED, (), ""),
    ("overreach", OK, [call("pay", 1), REVOKED, write("mail")], SCOPED, (), ""),
    ("overreach", OK, [fault("", status=None, revoked=["other"]), call("pay", 1), write("mail")], SCOPED, (), ""),
    ("overreach", NONE, [call("pay", 1), write("bank")], EXPECTED, (), ""),
    # unapproved
    ("unapproved", VIOLATED, [word(), paid(), paid(2)], ASKED, (2,), "pay was done with no word that was not used"),
    ("unapproved", VIOLATED, [paid(), word()], ASKED, (0,), "pay was done with no word that was not used"),
    ("unapproved", VIOLATED, [word(step="ship"), paid()], ASKED, (1,), "pay was done with no word that was not used"),
    ("unapproved", VIOLATED, [word(price="v1"), paid(price="v2")], ASKED, (0, 1), "pay was done with a word on another state"),
    ("unapproved", OK, [word(price="v1"), word(price="v2"), paid(price="v2")], ASKED, (), ""),
    ("unapproved", OK, [word(), paid(price="v2"), word(), paid(2)], ASKED, (), ""),
    ("unapproved", VIOLATED, [word(), paid(), anew(paid(2))], ASKED, (2,), "pay was done with no word that was not used"),
    ("unapproved", OK, [word(), anew(paid())], ASKED, (), ""),
    ("unapproved", OK, [write("bank", effect="idempotent")], ASKED, (), ""),
    ("unapproved", NONE, [paid()], EXPECTED, (), ""),
    # unlogged_effect
    ("unlogged_effect", VIOLATED, [FULL, call("pay", 1), TOLD], EXPECTED, (0, 1), "pay was begun while nothing could be written down"),
    ("unlogged_effect", OK, [call("pay", 1), FULL, apply("pay", 1), TOLD, call("ship", 2)], EXPECTED, (), ""),
    ("unlogged_effect", OK, [FULL, read("look", 1), TOLD], EXPECTED, (), ""),
    ("unlogged_effect", NONE, [fault(), call("pay", 1)], EXPECTED, (), ""),
    # lost_effect
    ("lost_effect", VIOLATED, [call("pay", 1), view("completed")], EXPECTED, (1,), "completed, but pay was never applied"),
    ("lost_effect", OK, [*PAID, view("completed")], EXPECTED, (), ""),
    ("lost_effect", OK, [call("pay", 1), apply("pay@2", 2), view("completed")], EXPECTED, (), ""),
    ("lost_effect", NONE, [call("pay", 1), view("escalated")], EXPECTED, (), ""),
    ("lost_effect", NONE, [call("pay", 1), view("running")], EXPECTED, (), ""),
    ("lost_effect", NONE, [call("pay", 1)], EXPECTED, (), ""),
    # stale_decision
    ("stale_decision", VIOLATED, [call("cut", 1), apply("cut", 1, broken=["dns"])], EXPECTED, (1,), "cut rested on dns, which had changed"),
    ("stale_decision", VIOLATED, [read("ask", 1), reply("ask", 1, value=["a", "b"]), call("pay", 2), read("ask", 1, "w2"), reply("ask", 1, "w2", value=["b", "a"])], EXPECTED, (1, 4), "ask was read again and differed"),
    ("stale_decision", VIOLATED, [read("ask", 1), reply("ask", 1, value=1), at("after_ack", "ask", 2), read("ask", 1, "w2"), reply("ask", 1, "w2", value=2)], EXPECTED, (1, 4), "ask was read again and differed"),
    ("stale_decision", OK, [read("ask", 1), reply("ask", 1, value=1), read("ask", 1, "w2"), reply("ask", 1, "w2", value=2)], EXPECTED, (), ""),
    ("stale_decision", OK, [read("ask", 1), reply("ask", 1, value=1), call("pay", 2), read("ask", 1, "w2"), reply("ask", 1, "w2", value=1)], EXPECTED, (), ""),
    ("stale_decision", OK, [read("ask", 1), reply("ask", 1, status="failed"), call("pay", 2), read("ask", 1, "w2"), reply("ask", 1, "w2", value=2)], EXPECTED, (), ""),
    ("stale_decision", OK, PAID, EXPECTED, (), ""),
    # zombie_write
    ("zombie_write", VIOLATED, [call("pay", 1), call("pay", 1, "w2"), apply("pay", 1, "w2"), apply("pay", 1)], EXPECTED, (0, 1, 3), "pay of w1 came after its successor"),
    ("zombie_write", VIOLATED, [call("pay", 1), call("ship", 1, "w2"), apply("pay", 1)], EXPECTED, (0, 1, 2), "pay of w1 came after its successor"),
    ("zombie_write", OK, [call("pay", 1), apply("pay", 1), call("pay", 1, "w2"), apply("pay", 1, "w2")], EXPECTED, (), ""),
    ("zombie_write", OK, [call("pay", 1), call("ship", 1, "w2"), apply("pay", 1)], GROUPED, (), ""),
    ("zombie_write", OK, [call("pay", 1), call("ship", 2), apply("pay", 1)], EXPECTED, (), ""),
    ("zombie_write", OK, [call("pay", 1), call("pay", 1, "w2", run="r.child"), apply("pay", 1)], EXPECTED, (), ""),
    ("zombie_write", OK, [apply("pay", 1)], EXPECTED, (), ""),
    # parity
    ("parity", VIOLATED, [view("completed"), world(log=["paid", "paid"])], EXPECTED, (1,), "log is ['paid', 'paid'], the model has ['paid']"),
    ("parity", VIOLATED, [view("completed"), world(log=["paid"], more=1)], EXPECTED, (1,), "more is 1, the model has None"),
    ("parity", VIOLATED, [view("completed"), world()], EXPECTED, (1,), "log is None, the model has ['paid']"),
    ("parity", VIOLATED, [view("completed", output=None), world(log=["paid"])], EXPECTED, (0,), "the output is None, the model has {'done': True}"),
    ("parity", VIOLATED, [view("completed"), added(["theirs"], log=["paid"])], EXPECTED, (1,), "log has lost 'theirs', which a stranger had added"),
    ("parity", VIOLATED, [view("completed"), added(["theirs"], log=["theirs"])], EXPECTED, (1,), "log is [], the model has ['paid']"),
    ("parity", VIOLATED, [view("completed"), added(["same", "same"], log=["paid", "same"])], EXPECTED, (1,), "log has lost 'same', which a stranger had added"),
    ("parity", OK, [view("completed"), added(["theirs"], log=["theirs", "paid"])], EXPECTED, (), ""),
    ("parity", OK, [view("completed"), world(log=["paid"])], EXPECTED, (), ""),
    ("parity", NONE, [view("escalated"), world(log=[])], EXPECTED, (), ""),
    ("parity", NONE, [view("completed")], EXPECTED, (), ""),
    ("parity", NONE, [world(log=[])], EXPECTED, (), ""),
    # ghost_running
    ("ghost_running", VIOLATED, [view("running", moves="no")], EXPECTED, (0,), "still running at the deadline, and nothing moves it"),
    ("ghost_running", OK, [view("running", moves="no"), view("completed")], EXPECTED, (), ""),
    ("ghost_running", OK, [view("dead")], EXPECTED, (), ""),
    ("ghost_running", UNKNOWN, [view("running")], EXPECTED, (0,), "still running at the deadline; whether it moves is unknown"),
    ("ghost_running", UNKNOWN, [view("retrying", moves="yes")], EXPECTED, (0,), "still retrying at the deadline; whether it moves is yes"),
    ("ghost_running", NONE, [view("escalated", moves="no")], EXPECTED, (), ""),
    ("ghost_running", NONE, [view("running", run="r.child", moves="no")], EXPECTED, (), ""),
    # orphaned_claim
    ("orphaned_claim", VIOLATED, [ended("w1"), view("running", claim="w1")], EXPECTED, (0, 1), "claimed by w1, which is dead"),
    ("orphaned_claim", OK, [ended("w1"), view("running", claim="w2")], EXPECTED, (), ""),
    ("orphaned_claim", OK, [view("running", claim="w1"), ended("w1")], EXPECTED, (), ""),
    ("orphaned_claim", NONE, [ended("w1"), view("running")], EXPECTED, (), ""),
    ("orphaned_claim", NONE, [ended("w1"), view("completed", claim="w1")], EXPECTED, (), ""),
    ("orphaned_claim", NONE, [ended("w1")], EXPECTED, (), ""),
    # broken_chain
    ("broken_chain", VIOLATED, [*PAID, view("running")], EXPECTED, (3,), "all its work is done, but the run is running"),
    ("broken_chain", VIOLATED, [view("failed", detail="why")], EXPECTED, (0,), "ended failed: why"),
    ("broken_chain", VIOLATED, [*PAID, view("completed")], FAMILY, (3,), "completed, but its child r.child never existed"),
    ("broken_chain", OK, [*PAID, view("completed")], EXPECTED, (), ""),
    ("broken_chain", OK, [*PAID, call("x", 2, run="r.child"), view("completed")], FAMILY, (), ""),
    ("broken_chain", OK, [*PAID, view("completed", run="r.child"), view("completed")], FAMILY, (), ""),
    ("broken_chain", UNKNOWN, [call("pay", 1), view("running")], EXPECTED, (1,), "the run is running and its work is not done"),
    ("broken_chain", NONE, [*PAID, view("escalated")], EXPECTED, (), ""),
    ("broken_chain", NONE, PAID, EXPECTED, (), ""),
    # escalation
    ("escalation", VIOLATED, [view("escalated", detail="why")], EXPECTED, (0,), "needlessly escalated: why"),
    ("escalation", VIOLATED, [view("completed")], DOUBTFUL, (0,), "not escalated, although nobody can know whether the effect is there"),
    ("escalation", OK, [view("escalated")], DOUBTFUL, (), ""),
    ("escalation", OK, [view("completed")], EXPECTED, (), ""),
    ("escalation", OK, [view("completed")], replace(EXPECTED, ends=frozenset({"completed", "escalated"})), (), ""),
    ("escalation", NONE, [view("running")], DOUBTFUL, (), ""),
    ("escalation", NONE, [], EXPECTED, (), ""),
    # hung_handler
    ("hung_handler", VIOLATED, [call("pay", 1), fault(hung=True), view("running")], EXPECTED, (1,), "the hung handler was not noticed; it declares no timer"),
    ("hung_handler", VIOLATED, [fault(hung=True)], TIMED, (0,), "the hung handler was not noticed; its timer is 2.5 s"),
    ("hung_handler", OK, [fault(hung=True), call("pay", 2)], EXPECTED, (), ""),
    ("hung_handler", OK, [fault(hung=True), view("failed")], EXPECTED, (), ""),
    ("hung_handler", NONE, [fault(), view("running")], EXPECTED, (), ""),
    # credential_leak
    ("false_alarm", VIOLATED, [call("pay", 1), fault(lingers_s=5.0), call("pay", 2)], EXPECTED, (1, 2), "pay was called again at work"),
    ("false_alarm", OK, [call("pay", 1), fault(lingers_s=5.0), call("ship", 2)], EXPECTED, (), ""),
    ("lost_run", VIOLATED, [("wipe", "", {}), view("absent")], EXPECTED, (0, 1), "it was taken, and is not known any more"),
    ("lost_run", OK, [("wipe", "", {}), view("running")], EXPECTED, (), ""),
    ("lost_run", VIOLATED, [view("absent")], EXPECTED, (0,), "it was taken, and is not known any more"),
    ("lost_run", OK, [view("unknown")], EXPECTED, (), ""),
    ("credential_leak", VIOLATED, [scan(3, "w1.log (raw)", "outputs (hex)")], EXPECTED, (0,), "the credential stands in w1.log (raw), outputs (hex)"),
    ("credential_leak", OK, [scan(3)], EXPECTED, (), ""),
    ("credential_leak", NONE, [scan(0)], EXPECTED, (), ""),
    ("credential_leak", NONE, [], EXPECTED, (), ""),
    # recovery_harm
    ("recovery_harm", VIOLATED, [bystander("unknown", "slow"), bystander("violated", "lost_effect: x")], EXPECTED, (1,), "bystander b0: lost_effect: x"),
    ("recovery_harm", OK, [bystander("ok"), bystander("ok")], EXPECTED, (), ""),
    ("recovery_harm", UNKNOWN, [bystander("ok"), bystander("unknown", "slow")], EXPECTED, (1,), "bystander b0: slow"),
    ("recovery_harm", NONE, [], EXPECTED, (), ""),
    # vacuity
    ("vacuity", OK, [gate(), fault(), call("pay", 1, "w2")], EXPECTED, (), ""),
    ("vacuity", OK, [gate(), fault(), view("escalated")], EXPECTED, (), ""),
    ("vacuity", OK, [gate(), fault(), at("finalize", "", 1, "w2")], EXPECTED, (), ""),
    ("vacuity", OK, [gate(), fault(hung=True, must_die=False, status=None)], EXPECTED, (), ""),
    ("vacuity", OK, [gate(), fault(), call("pay", 1, "w2"), gate(stage=1), fault("w2", 1), call("pay", 1, "w3")], EXPECTED, (), ""),
    ("vacuity", UNKNOWN, [gate("it was not held"), fault()], EXPECTED, (0,), "stage 0: it was not held"),
    ("vacuity", UNKNOWN, [gate()], EXPECTED, (0,), "stage 0: no fault followed"),
    ("vacuity", UNKNOWN, [gate(), fault(status=None), call("pay", 1, "w2")], EXPECTED, (1,), "w1 was not seen dead"),
    ("vacuity", UNKNOWN, [gate(), fault(), call("pay", 1, "w1"), view("running")], EXPECTED, (1,), "stage 0: no progress followed"),
    ("vacuity", UNKNOWN, [gate(), fault(), call("pay", 1, "w2"), gate(stage=1)], EXPECTED, (3,), "stage 1: no fault followed"),
    ("vacuity", NONE, [call("pay", 1)], EXPECTED, (), ""),
]
# fmt: on


@pytest.mark.parametrize(
    ("name", "outcome", "lines", "expectation", "witness", "note"),
    CASES,
    ids=[f"{name}-{outcome}-{index}" for index, (name, outcome, *_) in enumerate(CASES)],
)
def test_oracle(
    name: str,
    outcome: Outcome,
    lines: Sequence[Line],
    expectation: Expectation,
    witness: tuple[int, ...],
    note: str,
) -> None:
    """An oracle finds what the history shows, and points at the events that show it."""
    assert Finding(outcome, witness, note) == ORACLES[name](history(*lines), expectation)


@pytest.mark.parametrize("name", list(ORACLES))
def test_every_oracle_is_tested_both_ways(name: str) -> None:
    """No oracle is without a history that it must condemn and one that it must pass."""
    found = {outcome for oracle, outcome, *_ in CASES if oracle == name}
    # What was not broken as planned shows nothing: vacuity condemns by "unknown".
    worst = UNKNOWN if name == "vacuity" else VIOLATED
    assert {worst, OK} <= found


@pytest.mark.parametrize("name", list(ORACLES))
def test_no_evidence_is_no_violation(name: str) -> None:
    """An empty history convicts nobody."""
    assert ORACLES[name]([], EXPECTED).outcome in {OK, NONE}


# Judging -------------------------------------------------------------------------------------


CLEAN = history(*PAID, view("completed"), world(log=["paid"]), scan(3))
TWICE = history(
    *PAID, call("pay", 1, "w2"), apply("pay", 1, "w2"), view("completed"), world(log=["paid"])
)


def verdict(oracle: str, outcome: Outcome) -> Verdict:
    """Return a verdict."""
    return Verdict(oracle=oracle, outcome=outcome)


def judgement(*verdicts: Verdict, unpredicted: str = "", absent: str = "") -> Judgement:
    """Return a judgement of verdicts."""
    return Judgement(
        verdicts=verdicts,
        violated=frozenset(v.oracle for v in verdicts if v.outcome is VIOLATED),
        unpredicted=frozenset(filter(None, [unpredicted])),
        absent=frozenset(filter(None, [absent])),
        end="completed",
    )


def test_clean() -> None:
    """A clean run is judged by every oracle and surprises nobody."""
    found = assess(CLEAN, EXPECTED)
    assert list(ORACLES) == [v.oracle for v in found.verdicts]
    assert (OK, "completed", frozenset()) == (found.outcome, found.end, found.violated)
    assert (False, False) == (found.unknown, found.surprising)


def test_an_oracle_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot tell; the others still can."""

    def broken(events: Sequence[Event], expectation: Expectation) -> Finding:
        raise KeyError(len(events), expectation.exact)

    monkeypatch.setattr(oracles, "ORACLES", {**ORACLES, "parity": broken})
    found = {v.oracle: v for v in judge(CLEAN, EXPECTED)}
    assert (UNKNOWN, "the oracle raised KeyError: (6, True)") == (
        found["parity"].outcome,
        found["parity"].note,
    )
    assert OK is found["lost_effect"].outcome


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], UNKNOWN),
        ([NONE], NONE),
        ([NONE, OK], OK),
        ([OK, UNKNOWN, NONE], UNKNOWN),
        ([OK, VIOLATED, UNKNOWN], VIOLATED),
    ],
)
def test_merge_by_worst(outcomes: list[Outcome], expected: Outcome) -> None:
    """The worst verdict is the run's; without any, nothing is known."""
    found = judgement(*(verdict(str(n), outcome) for n, outcome in enumerate(outcomes)))
    assert expected is found.outcome


def test_a_violation_outranks_an_unknown() -> None:
    """What is seen broken is known, whatever else is not."""
    found = judgement(verdict("parity", VIOLATED), verdict("recovery_harm", UNKNOWN))
    assert not found.unknown


def test_what_still_moves_outranks_a_violation() -> None:
    """Of a run that may still be moving the worst may be to come."""
    moving = verdict("ghost_running", UNKNOWN)
    found = judgement(verdict("duplicate_effect", VIOLATED), moving, unpredicted="duplicate_effect")
    assert found.unknown
    assert not found.surprising


@pytest.mark.parametrize("name", ["hung_handler", "orphaned_claim", "broken_chain"])
def test_what_stands_still_is_known(name: str) -> None:
    """A run that is shown to stand still is judged, though nobody says that it does not move."""
    moving = verdict("ghost_running", UNKNOWN)
    assert not judgement(verdict(name, VIOLATED), moving).unknown


def test_vacuity_outranks_a_violation() -> None:
    """What was not broken as planned shows nothing, not even a violation."""
    found = judgement(
        verdict("parity", VIOLATED), verdict("vacuity", UNKNOWN), unpredicted="parity"
    )
    assert found.unknown
    assert not found.surprising
    assert "unknown" == found.to_json()["outcome"]


def test_surprising_for_unpredicted() -> None:
    """A violation that the guarantee does not make contradicts the model."""
    found = assess(TWICE, EXPECTED)
    assert frozenset({"duplicate_effect"}) == found.unpredicted == found.violated
    assert found.surprising
    assert not next(v for v in found.verdicts if v.oracle == "duplicate_effect").predicted


def test_predicted() -> None:
    """A violation that the guarantee makes is a violation, and no surprise."""
    promised = frozenset({"duplicate_effect"})
    found = assess(TWICE, replace(EXPECTED, violated=promised, permitted=promised))
    assert VIOLATED is found.outcome
    assert not found.surprising
    assert next(v for v in found.verdicts if v.oracle == "duplicate_effect").predicted


def test_surprising_for_absent() -> None:
    """A predicted violation that does not occur is as wrong, where it must."""
    promised = frozenset({"duplicate_effect"})
    exact = replace(EXPECTED, violated=promised, permitted=promised)
    found = assess(CLEAN, exact)
    assert promised == found.absent
    assert found.surprising
    assert not assess(CLEAN, replace(exact, exact=False)).surprising


def test_unknown_surprises_nobody() -> None:
    """Of what is not known nothing is absent."""
    promised = frozenset({"duplicate_effect"})
    lines = history(*PAID, view("running"), world(log=["paid"]))[:2]
    found = assess(
        [*lines, *history(gate("not held"))],
        replace(EXPECTED, violated=promised, permitted=promised),
    )
    assert promised == found.absent
    assert not found.surprising


def test_end_of_a_run_that_was_never_seen() -> None:
    """Without a view the end is unknown."""
    assert "unknown" == assess(history(*PAID), EXPECTED).end


def test_last_view() -> None:
    """The last view of the run itself counts, not its child's."""
    events = history(view("running"), view("completed"), view("failed", run="r.child"))
    assert events[1] is last_view(events)
    assert last_view([]) is None


def test_judgement_as_json() -> None:
    """What goes to disk names the verdicts, the ends and the surprises, sorted."""
    data = assess(TWICE, EXPECTED).to_json()
    assert ("violated", "completed", ["duplicate_effect"], [], ["duplicate_effect"]) == tuple(
        data[name] for name in ("outcome", "end", "violated", "absent", "unpredicted")
    )
    assert {
        "oracle": "duplicate_effect",
        "outcome": "violated",
        "predicted": False,
        "witness": [1, 4],
        "note": "pay was applied twice",
    } == data["verdicts"][0]


def test_predict() -> None:
    """The model's history is judged by those oracles that it can show, and hangs by rule."""
    assert {"duplicate_effect"} == predict(TWICE, EXPECTED, hung=False)
    assert {"hung_handler", "broken_chain"} == predict(CLEAN, EXPECTED, hung=True)
    assert set(EVIDENT) < set(ORACLES)
