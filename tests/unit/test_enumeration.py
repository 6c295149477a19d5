"""The enumeration: its oracles see, its faults fire, and no safeguard can go unnoticed."""

from __future__ import annotations

import json

from collections.abc import Iterator
from functools import partial

import pytest

from click.testing import CliRunner
from support.effects import LEASE, completion, intent, resolution
from support.resume import applied, evidence

from harness.effects import Effect, Tier
from runtimes.reference.effect_log.canonical import canonical
from runtimes.reference.effect_log.errors import ConflictError, FencedError
from runtimes.reference.effect_log.records import (
    Lease,
    Plan,
    Read,
    Record,
    Revoke,
    Terminal,
    Verdict,
)
from runtimes.reference.enumeration import __main__ as command
from runtimes.reference.enumeration.agent import DNS, INBOX, OWED, TABLES
from runtimes.reference.enumeration.campaign import SMALL, WHOLE, twins
from runtimes.reference.enumeration.life import Life, deaths, driven, opened
from runtimes.reference.enumeration.mutants import MUTANTS
from runtimes.reference.enumeration.oracles import ORACLES, SCORES, Evidence, judge
from runtimes.reference.enumeration.sharing import Ended
from runtimes.reference.enumeration.state import State


PLAN = Plan(plan_epoch=1, steps_hash="")
AGAIN = Plan(plan_epoch=2, steps_hash="", drifted=("dns",))
SECOND = Lease(epoch=2, holder="life-2", claim="c2")
DONE = Terminal(status="completed")
MAIL = intent("notify", plan_epoch=1)
CUT = intent("cut_over", plan_epoch=1, effect=Effect.HYBRID, target=DNS)
SAFE = intent("create", plan_epoch=1, effect=Effect.IDEMPOTENT)
UNDER = intent("notify", plan_epoch=1, capability="first")
OWN = intent("clear", plan_epoch=1, capability="second")
REVOKE = Revoke(capabilities=("first",), by="life-2", why="epoch 2 began")
ASKED = resolution(MAIL, Verdict.UNKNOWN)
VALUE = intent("cut_over", plan_epoch=1, effect=Effect.HYBRID, tier=Tier.V, target=DNS)
KEYED = intent("cut_over", plan_epoch=1, effect=Effect.HYBRID, tier=Tier.K, target=DNS)
ASKED_V = resolution(VALUE, Verdict.UNKNOWN)
BEGUN: tuple[Record, ...] = (LEASE, PLAN)
HYBRID = applied("cut_over", Effect.HYBRID)
THEIRS = applied("cut_over", Effect.HYBRID, over="h")
SAW = Read(slot="read_dns@2", resource=DNS, version="v2", value_hash="h")
END = {
    "target": "created",
    DNS: "target",
    **{f"target/{table}": value for table, value in TABLES.items()},
    **{table: [] for table in TABLES},
}
PAPER = completion(MAIL, provider_ref="notify/v2", version_after="v2")

CASES: dict[str, tuple[Evidence, Evidence]] = {
    "O1 duplicate": (
        evidence(*BEGUN, MAIL, ledger=[applied("notify"), applied("notify@2")]),
        evidence(*BEGUN, SAFE, ledger=[applied("notify"), *[applied("create", Effect.IDEMPOTENT)] * 2]),
    ),
    "O1b hybrid twice": (
        evidence(*BEGUN, CUT, AGAIN, ledger=[HYBRID, applied("cut_over", Effect.HYBRID, rows=4)]),
        evidence(*BEGUN, CUT, ledger=[HYBRID, applied("notify")]),
    ),
    "O2 lost": (
        evidence(*BEGUN, DONE, ledger=[applied(slot) for slot in OWED[1:]]),
        evidence(*BEGUN, DONE, ledger=[applied(slot) for slot in OWED]),
    ),
    "O3 sealed is true": (
        evidence(*BEGUN, MAIL, PAPER, ledger=[applied("notify", version="v3")]),
        evidence(*BEGUN, MAIL, PAPER, ledger=[applied("notify")]),
    ),
    "O4 write-ahead": (
        evidence(*BEGUN, MAIL, ledger=[applied("notify", rows=2)]),
        evidence(*BEGUN, MAIL, ledger=[applied("notify")]),
    ),
    "O5 stale write": (
        evidence(*BEGUN, CUT, ledger=[applied("cut_over", Effect.HYBRID, stale=True)]),
        evidence(*BEGUN, CUT, ledger=[HYBRID]),
    ),
    "O6 fenced": (
        evidence(*BEGUN, MAIL, SECOND, AGAIN, ledger=[applied("notify", rows=5)]),
        evidence(*BEGUN, MAIL, SECOND, AGAIN, ledger=[applied("notify", rows=5, epoch=2), applied("notify", rows=4)]),
    ),
    "O8 revoked": (
        evidence(*BEGUN, UNDER, SECOND, OWN),
        evidence(*BEGUN, UNDER, SECOND, REVOKE, OWN),
    ),
    "O12 doubt closed": (
        evidence(*BEGUN, MAIL, DONE),
        evidence(*BEGUN, MAIL, completion(MAIL), DONE),
    ),
    "O13 needless escalation": (
        evidence(*BEGUN, SAFE, resolution(SAFE, Verdict.UNKNOWN)),
        evidence(*BEGUN, MAIL, ASKED),
    ),
    "O14 re-plan": (
        evidence(*BEGUN, MAIL, AGAIN, ledger=[applied("notify", rows=4)]),
        evidence(*BEGUN, MAIL, AGAIN, ledger=[applied("notify", rows=3)]),
    ),
    "O15 ended": (
        evidence(*BEGUN, MAIL, completion(MAIL)),
        evidence(*BEGUN, MAIL, ASKED),
    ),
    "O16 same end": (
        evidence(*BEGUN, DONE, things={**END, "users": ["ada"]}),
        evidence(*BEGUN, DONE, things=END),
    ),
    "O19 replay": (
        evidence(given=[("decide", 1, canonical(1)), ("decide", 1, canonical(2))]),
        evidence(given=[("decide", 1, canonical(1)), ("decide", 2, canonical(2))]),
    ),
}  # fmt: skip


def test_each_oracle_has_its_two_histories() -> None:
    """None is left out of the table."""
    assert set(ORACLES) == set(CASES)


@pytest.mark.parametrize("name", ORACLES)
def test_an_oracle_sees(name: str) -> None:
    """Of two histories that differ in little, it finds the one that it is about."""
    violating, clean = CASES[name]
    assert next(ORACLES[name](violating), "")
    assert [] == list(ORACLES[name](clean))


@pytest.mark.parametrize(
    ("name", "seen", "violated"),
    [
        pytest.param("O5 stale write", evidence(*BEGUN, CUT, ledger=[THEIRS]), True, id="over what was never read"),
        pytest.param("O5 stale write", evidence(*BEGUN, SAW, CUT, ledger=[THEIRS]), False, id="over what was read"),
        pytest.param("O6 fenced", evidence(*BEGUN, MAIL, SECOND, AGAIN, ledger=[applied("notify", rows=5)], fences=False), False, id="who fences nothing"),
        pytest.param("O12 doubt closed", evidence(*BEGUN, MAIL, MAIL), True, id="tried again in doubt"),
        pytest.param("O12 doubt closed", evidence(*BEGUN, SAFE, SAFE), False, id="and twice is once"),
        pytest.param("O13 needless escalation", evidence(*BEGUN, intent("notify", tier=Tier.K), ASKED), True, id="in retention"),
        pytest.param("O13 needless escalation", evidence(*BEGUN, intent("notify", tier=Tier.K), ASKED, aged=True), False, id="past it"),
        pytest.param("O13 needless escalation", evidence(*BEGUN, intent("notify", tier=Tier.V, target=INBOX), ASKED), False, id="a list"),
        pytest.param("O13 needless escalation", evidence(*BEGUN, intent("notify", tier=Tier.V, target="users"), ASKED), True, id="a value"),
        pytest.param("O13 needless escalation", evidence(*BEGUN, VALUE, ASKED_V), True, id="a value that rests on another"),
        pytest.param("O13 needless escalation", evidence(*BEGUN, VALUE, ASKED_V, drifted=True), False, id="and a stranger's since"),
        pytest.param("O13 needless escalation", evidence(*BEGUN, KEYED, resolution(KEYED, Verdict.UNKNOWN), drifted=True), True, id="but its key is known"),
        pytest.param("O15 ended", evidence(error=ConflictError("other words")), False, id="refused"),
        pytest.param("O15 ended", evidence(error=FencedError("overtaken")), True, id="nobody goes on"),
        pytest.param("O15 ended", evidence(*BEGUN, MAIL), True, id="left in doubt"),
        pytest.param("O15 ended", evidence(*BEGUN, Terminal(status="failed")), False, id="given up"),
        pytest.param("O8 revoked", evidence(*BEGUN, REVOKE, UNDER), True, id="after its end"),
        pytest.param("O2 lost", evidence(*BEGUN), False, id="owes nothing yet"),
    ],
)  # fmt: skip
def test_where_an_oracle_draws_the_line(name: str, seen: Evidence, violated: bool) -> None:
    """What looks alike is told apart."""
    assert violated is bool(list(ORACLES[name](seen)))


def test_what_is_judged() -> None:
    """All violated oracles are named, each with its first finding."""
    assert {"O4 write-ahead": "notify", "O15 ended": "it goes on for ever"} == judge(
        evidence(*BEGUN, MAIL, completion(MAIL), ledger=[applied("notify", rows=2)])
    )


KINDS = [(tier, fences) for tier in Tier for fences in (True, False)]


def runs(campaign: str, tier: Tier, *, fences: bool = True) -> list[Ended]:
    """Return all runs of a small campaign."""
    return list(SMALL[campaign](partial(State.fresh, tier, fences=fences)))


@pytest.mark.parametrize(("tier", "fences"), KINDS)
@pytest.mark.parametrize("campaign", [name for name in SMALL if name not in {"drift at", "zombie"}])
def test_nothing_is_violated(campaign: str, tier: Tier, fences: bool) -> None:
    """Wherever it dies: no harm, no needless question, and some run that there was to make."""
    found = [(ended.way, judge(ended.evidence)) for ended in runs(campaign, tier, fences=fences)]
    assert [] == [each for each in found if each[1]]
    assert found or (campaign == "kill, a human" and tier in {Tier.K, Tier.Q})


@pytest.mark.parametrize("campaign", ["drift at", "zombie"])
def test_nothing_is_violated_where_the_provider_helps(campaign: str) -> None:
    """With versions and a fence, neither a stranger nor a zombie does harm anywhere."""
    found = [(ended.way, judge(ended.evidence)) for ended in runs(campaign, Tier.V)]
    assert [] == [each for each in found if each[1]]
    assert len(found) > 1000


@pytest.mark.parametrize("name", MUTANTS)
def test_a_safeguard_is_missed(name: str) -> None:
    """Without it, an oracle of harm is violated; only a needless question does none."""
    kill = command.hunt(name, MUTANTS[name])
    assert kill.oracles
    assert (name == "escalate always") is not bool({*kill.oracles} - SCORES)


def test_a_name_is_no_lease() -> None:
    """Who has the name of the run's holder, and not its epoch, would do harm if he were let."""
    found: set[str] = set()
    with MUTANTS["lease by name"].here():
        for ended in runs("zombie", Tier.K):
            found |= judge(ended.evidence).keys()
            if "O1 duplicate" in found:
                break
    assert "O1 duplicate" in found
    holders = {r.holder for r in ended.evidence.records if isinstance(r, Lease)}
    assert {"life"} == holders


# Not vacuous ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("tier", "fences"), KINDS)
def test_the_golden_run(tier: Tier, fences: bool) -> None:
    """With no fault it completes, asks nobody, and does each thing once."""
    with Life(State.fresh(tier, fences=fences), "life-1") as life:
        life.finish()
    assert life.facts.terminal
    assert "completed" == life.facts.terminal.status
    assert sorted(OWED) == sorted(line.slot for line in life.state.world.ledger)
    assert [] == life.facts.unresolved


def stops(tier: Tier) -> Iterator[str]:
    """Yield the labels of the golden run's stops."""
    with Life(State.fresh(tier, fences=True), "life-1") as life:
        while (label := life.step()) is not None:
            yield label


def test_who_shares_a_reading_has_facts_of_its_own() -> None:
    """Two lives find the same log; what one adds to it is not known to the other."""
    left = State.fresh(Tier.K, fences=True)
    with Life(left, "life-1") as dead:
        dead.reach(12)
    states = left.copy(), left.copy()
    first, second = (opened(state, "life-2", []) for state in states)
    assert first.facts == second.facts
    known = second.facts.copy()
    driven(first.append(Lease(epoch=2, holder="life-2", claim="c")))
    assert (2, known) == (first.facts.epoch, second.facts)
    assert 1 == opened(left, "life-3", []).facts.epoch
    assert 2 == opened(states[0], "life-3", []).facts.epoch


@pytest.mark.parametrize("tier", Tier)
def test_it_dies_everywhere(tier: Tier) -> None:
    """There is a run for each stop of the golden one, and one that dies nowhere."""
    labels = list(stops(tier))
    assert [(label,) for label in labels] + [()] == [ended.way for ended in runs("kill", tier)]
    for slot in OWED:
        assert {f"send {slot}", f"answer {slot}"} <= {*labels}


def test_the_dead_are_followed() -> None:
    """After each death another process holds the run; nobody follows who dies nowhere."""
    for ended in runs("kill", Tier.Q):
        leases = [record for record in ended.evidence.records if isinstance(record, Lease)]
        first = ended.way != ("append lease",) and bool(ended.way)
        assert 1 + first == len(leases)


def test_power_takes_what_is_not_synced() -> None:
    """Every prefix of what the disk has not synced is a state; of a synced disk there is none."""
    careless = State.fresh(Tier.K, fences=True, careless=True)
    with MUTANTS["disk not synced"].here():
        cut = [
            found for found in deaths(careless, "life-1", power=True) if not isinstance(found, Life)
        ]
    assert any(label.startswith("power at") for label, _ in cut)
    assert [ended.way for ended in runs("kill", Tier.K)] == [
        ended.way for ended in runs("power", Tier.K)
    ]


def test_what_happens_meanwhile_happens() -> None:
    """Drift forces plans, a day forgets keys, other words are refused, calls arrive late."""
    plans = [
        r
        for ended in runs("kill, drift", Tier.Q)
        for r in ended.evidence.records
        if isinstance(r, Plan)
    ]
    assert any(plan.drifted for plan in plans)
    assert any(ended.evidence.escalated for ended in runs("kill, a day", Tier.K))
    assert any(
        isinstance(ended.evidence.error, ConflictError)
        for ended in runs("kill, other words", Tier.K)
    )
    assert any("there at" in ended.way[1] for ended in runs("late", Tier.Q))
    assert all(ended.evidence.completed for ended in runs("kill, a human", Tier.O))
    assert {0} == {
        ended.evidence.world.tier is Tier.O and len(ended.evidence.facts.unresolved)
        for ended in runs("kill, a human", Tier.O)
    }
    assert any(ended.evidence.facts.plan_epoch == 2 for ended in runs("drift at", Tier.V))


def test_a_twin_waits() -> None:
    """Who asks for what is being done gets what the first one gets, and does nothing."""
    found = list(twins(partial(State.fresh, Tier.O, fences=True)))
    assert len(found) > 40
    for ended in found:
        slots = [slot for slot, _, _ in ended.evidence.given]
        assert [2] == sorted({slots.count(slot) for slot in slots} - {1})
        assert sorted(OWED) == sorted(line.slot for line in ended.evidence.world.ledger)


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_begins(name: str) -> None:
    """Each campaign of the whole has runs, and names its ways differently."""
    ways: list[tuple[str, ...]] = []
    for ended in WHOLE[name](partial(State.fresh, Tier.V, fences=True)):
        ways.append(ended.way)
        assert {} == judge(ended.evidence)
        if len(ways) == 60:
            break
    assert ways


# The command ---------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave one campaign, and two mutants."""
    monkeypatch.setattr(command, "SMALL", {"kill": SMALL["kill"]})
    names = ["intent after the call", "new key"]
    monkeypatch.setattr(command, "MUTANTS", {name: MUTANTS[name] for name in names})


@pytest.mark.usefixtures("few")
def test_it_prints_what_came_of_it() -> None:
    """A matrix, the mutants, one line that says it all; nothing wider than 100 columns."""
    result = CliRunner().invoke(command.main, ["--quick"])
    assert 0 == result.exit_code
    assert "V*" in result.stdout
    assert "O4 write-ahead" in result.stdout
    assert "408 runs" in result.stdout
    assert "0 violations, 0 needless escalations; 2 of 2 mutants found" in " ".join(
        result.stdout.split()
    )
    assert max(len(line) for line in result.stdout.splitlines()) <= 100
    assert "kill, O*: 50" in result.stderr.replace(" open", "*")


@pytest.mark.usefixtures("few")
def test_it_fails_if_a_mutant_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and it says that nobody found it."""
    harmless = MUTANTS["new key"].__class__("nothing is gone", [])
    monkeypatch.setattr(command, "MUTANTS", {"nothing": harmless})
    result = CliRunner().invoke(command.main, ["--quick"])
    assert 1 == result.exit_code
    assert "NOBODY" in result.stdout


@pytest.mark.usefixtures("few")
def test_it_fails_if_anything_is_violated() -> None:
    """Exit code 1, with the way to the first violation of each oracle."""
    with MUTANTS["unknown is absent"].here():
        result = CliRunner().invoke(command.main, ["--quick", "--json"])
    assert 1 == result.exit_code
    cells = json.loads(result.stdout)["cells"]
    assert {"V", "O"} == {cell["tier"] for cell in cells if cell["violated"]}
    assert ["answer notify", "notify 2 times"] == cells[4]["examples"]["O1 duplicate"]


def test_it_says_what_it_is() -> None:
    """The help names what is enumerated, the exit codes, and an example."""
    said = CliRunner().invoke(command.main, ["--help"]).stdout
    for word in ("--quick", "--json", "exit code", "Examples"):
        assert word in said
