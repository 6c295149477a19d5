"""The model: what should happen follows from guarantee, tier, guard and fault.

These lists of expected violations are claims about the model; no other place has any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import pytest

from harness.effects import Effect, Guard, Json, Op, Tier
from harness.faults import FAULTS
from harness.history import Event
from harness.model import expect, ideal, slots
from harness.oracle import Expectation
from harness.program import emit, invoke, sleep, step
from harness.runtime import Guarantee, Witness
from harness.scenario import Answer, Case, Program, Scenario, cases
from harness.schedule import PHASES, Point, Schedule, Stage, parse, visited
from harness.simulation import CREDENTIAL, ModelError, Run, World
from scenarios import approval, fan_out, migration, rollout
from scenarios.live import move, push
from scenarios.semantic import cutover, health, memo, order, payout, transfer


SEMANTIC = (cutover, health, memo, order, payout, transfer)
SCENARIOS = {
    m.SCENARIO.name: m.SCENARIO
    for m in (migration, fan_out, approval, rollout, *SEMANTIC, move, push)
}
KEPT = [Guarantee.MEMO, Guarantee.AT_LEAST_ONCE]
IRREVERSIBLE = ("truncate_source", "cut_over", "notify")
DOUBTFUL_STEPS = ("truncate_source", "notify")
"""Whether the third was done, its target shows: it rests on a value."""
EVERYONE = dict.fromkeys(PHASES, Witness.WORLD)
ARG: dict[str, Json] = {"run": "r"}


@cache
def case(text: str) -> Case:
    """Return the case of ``NAME[inner]``."""
    name, _, inner = text.partition("[")
    return cases(SCENARIOS[name], "test", inner.rstrip("]"))[0]


@cache
def points(text: str) -> tuple[Point, ...]:
    """Return all points of a case, from its ideal run."""
    end = ideal(case(text), "r", ARG)
    found = [
        Point(name, phase)
        for name in end.steps
        for phase in ("before_effect", "after_effect", "after_ack")
    ]
    return (*found, *(Point(name, "waiting") for name in end.waits), Point("", "finalize"))


def expected(
    text: str,
    schedule: Schedule | str,
    guarantee: Guarantee,
    guard: Guard = Guard.NONE,
    settings: Mapping[str, Json] = {},
    events: Sequence[Event] = (),
) -> Expectation:
    """Return the expectation of a case under a schedule."""
    plan = parse(schedule) if isinstance(schedule, str) else schedule
    return expect(case(text), plan, guarantee, guard, settings, "r", ARG, events)


def over(
    text: str, fault: str, guarantee: Guarantee, guard: Guard = Guard.NONE, **settings: Json
) -> dict[str, Expectation]:
    """Return the expectation at every point at which a fault may come."""
    return {
        str(point): expected(text, Schedule((Stage(point, fault),)), guarantee, guard, settings)
        for point in points(text)
        if point.phase in FAULTS[fault].phases
    }


def violating(found: Mapping[str, Expectation], oracle: str = "") -> set[str]:
    """Return the points at which something (or one oracle) is violated."""
    return {
        point
        for point, each in found.items()
        if (oracle in each.violated if oracle else each.violated)
    }


def at(steps: Iterable[str], *phases: str) -> set[str]:
    """Return the points of steps at phases."""
    return {f"{name}/{phase}#1" for name in steps for phase in phases}


def history(
    text: str, schedule: Schedule | str, guarantee: Guarantee, guard: Guard = Guard.NONE
) -> list[Event]:
    """Return the model's own history under the first happening of each fault."""
    plan = parse(schedule) if isinstance(schedule, str) else schedule
    stages = [(s.point, FAULTS[s.fault].happenings({})[0]) for s in plan.stages]
    world = World.of(case(text), {})
    scope = ideal(case(text), "r", ARG).scope
    Run(world, "r", guarantee, guard, stages, ARG, scope=scope).finish()
    return list(world.history)


# The ideal run -------------------------------------------------------------------------------


def test_ideal_of_the_migration() -> None:
    """Thirteen steps, of which six are owed, end in the moved world."""
    end = ideal(case("migration[O]"), "r", ARG)
    assert (13, 6, (), ()) == (len(end.steps), len(end.owed), end.waits, end.children)
    assert ("truncate_source", "cut_over", "notify") == end.steps[-3:]
    assert end.output == {"tables": ["orders", "users"], "cut_over": "ok", "told": "ok"}
    assert [] == end.world["source/users"]
    assert ["ada", "grace", "edsger"] == end.world["target-r/users"]
    assert 40 == len(points("migration[O]"))


def test_ideal_of_the_throttled_migration() -> None:
    """The trace follows the refusal, the end is that of a world that does not refuse."""
    end = ideal(case("migration[O,throttled]"), "r", ARG)
    assert "notify_again" == end.steps[-1]
    assert ("wait_for_mail",) == end.waits
    assert end.before["wait_for_mail"] == end.steps[:13]
    assert ("r", "notify_again") in end.owed
    assert ("r", "notify") not in end.owed
    assert "ok" == end.output["told"]  # type: ignore[index, call-overload]


def test_ideal_with_recorded_replies() -> None:
    """What is owed follows from what was really answered, the end from the real decision."""
    order = ["users", "orders"]
    events = [
        Event(0, 0, "call", "r", {"step": "decide_order", "op": "ask"}),
        Event(
            1, 1, "reply", "r", {"step": "decide_order", "reply": {"status": "ok", "value": order}}
        ),
        Event(2, 2, "reply", "r", {"step": "cut_over", "reply": {"status": "rejected"}}),
        Event(3, 3, "reply", "r", {"step": "notify", "reply": {"status": "hang"}}),
        Event(4, 4, "reply", "r", {"step": "notify", "phase": "after_ack", "reply": {}}),
    ]
    end = ideal(case("migration[O]"), "r", ARG, events)
    assert ("copy_users", "copy_orders") == end.steps[6:8]
    assert ("r", "cut_over") not in end.owed
    assert ("r", "notify") in end.owed


def test_versions_of_a_real_provider_are_no_premise_here() -> None:
    """What is owed is what was really read and answered, whatever the versions were called."""
    read = {"status": "ok", "value": ["the first commit"], "etag": "bade7abc"}
    refused = {"status": "rejected", "value": "the version has moved on"}
    events = [Event(0, 0, "reply", "r", {"step": "read_branch", "reply": read})]
    assert (("r", "push"), ("r", "tell")) == ideal(case("live-push[V]"), "r", ARG, events).owed
    again = {**read, "value": [*read["value"], "bump the version"], "etag": "0ff1ce"}
    events.append(Event(1, 1, "reply", "r", {"step": "push", "reply": refused}))
    events.append(Event(2, 2, "reply", "r", {"step": "read_branch_again", "reply": again}))
    assert (("r", "push_again"), ("r", "tell")) == ideal(
        case("live-push[V]"), "r", ARG, events
    ).owed


def test_a_later_plan_says_what_is_owed() -> None:
    """What was read anew, under the later plan's name, takes the place of what was read before."""
    old, new = ({"status": "ok", "value": at} for at in ("192.0.2.1", "192.0.2.99"))
    events = [Event(0, 0, "reply", "r", {"step": "read_name", "reply": old})]
    assert ("r", "cut_over") in ideal(case("live-move[K]"), "r", ARG, events).owed
    events.append(Event(1, 1, "reply", "r", {"step": "read_name@2", "reply": new}))
    assert ("r", "cut_over") not in ideal(case("live-move[K]"), "r", ARG, events).owed


def test_ideal_of_the_fan_out() -> None:
    """The branches of a gather form one group."""
    end = ideal(case("fan_out[O]"), "r", ARG)
    assert {"charge": "charge", "ship": "charge", "announce": "charge"} == end.groups


def test_ideal_of_the_approval() -> None:
    """Waits are noted with what comes before them; the signal answers the second."""
    end = ideal(case("approval[O]"), "r", ARG)
    assert ("reviewed reviewer", "reviewed manager") == end.waits
    assert ("ask_reviewer", "ask_manager") == end.before["reviewed manager"]
    assert {"published": True, "by": "manager"} == end.output


async def _parent(_: Any) -> Any:
    await emit("paid", "k", {"n": 1})
    return await invoke("helper", "child", 3)


async def _child(arg: Any) -> Any:
    await step("write", Op("append", Effect.IRREVERSIBLE), {"path": "log", "value": arg})
    return [arg]


FAMILY = Case(
    scenario=Scenario(
        name="family",
        programs=(
            Program(name="parent", body=_parent),
            Program(name="child", body=_child),
            Program(name="listener", body=_child, on=("paid",)),
        ),
        world={"log": []},
    ),
    ref="test",
    tier=Tier.O,
)


def test_children() -> None:
    """Events and calls start children, whose ids follow from their parent's."""
    end = ideal(FAMILY, "r", ARG)
    assert ("r.paid.k.listener", "r.helper") == end.children
    assert [{"n": 1}, 3] == end.world["log"]
    assert [3] == end.output


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_golden(guarantee: Guarantee) -> None:
    """Without a fault nothing is violated, whatever is promised."""
    for text in ("migration[O]", "migration[O,throttled]", "fan_out[O]", "approval[O]"):
        plain = expected(text, Schedule(), guarantee)
        assert (True, {"completed"}, frozenset(), frozenset()) == (
            plain.exact,
            plain.ends,
            plain.violated,
            plain.permitted,
        )


# migration[O] under kill(worker) -------------------------------------------------------------


def test_restart() -> None:
    """From truncate_source/after_effect on all is harmed, earlier only by stale decisions."""
    found = over("migration[O]", "kill(worker)", Guarantee.RESTART)
    order = list(found)
    sealed = order.index("decide_order/after_ack#1")
    harmed = order.index("truncate_source/after_effect#1")
    assert (40, 14, 31) == (len(order), sealed, harmed)
    assert [frozenset()] * 14 == [found[p].violated for p in order[:sealed]]
    assert [{"stale_decision"}] * 17 == [found[p].violated for p in order[sealed:harmed]]
    assert [{"duplicate_effect", "parity", "stale_decision"}] * 9 == [
        found[p].violated for p in order[harmed:]
    ]
    assert {frozenset({"completed"})} == {each.ends for each in found.values()}


@pytest.mark.parametrize("guarantee", KEPT)
def test_memo(guarantee: Guarantee) -> None:
    """Exactly the three writes whose answer was lost are applied twice."""
    found = over("migration[O]", "kill(worker)", guarantee)
    assert at(IRREVERSIBLE, "after_effect") == violating(found)
    assert at(IRREVERSIBLE, "after_effect") == violating(found, "duplicate_effect")
    assert at(["notify"], "after_effect") == violating(found, "parity")
    assert {frozenset({"completed"})} == {each.ends for each in found.values()}


def test_effect_once() -> None:
    """At four points nobody can know, and a human is told; the other 36 complete."""
    found = over("migration[O]", "kill(worker)", Guarantee.EFFECT_ONCE)
    doubtful = at(DOUBTFUL_STEPS, "before_effect", "after_effect")
    assert set() == violating(found)
    assert doubtful == {p for p, each in found.items() if each.ends == {"escalated"}}
    assert 36 == sum(each.ends == {"completed"} for each in found.values())


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_kill_is_exact(guarantee: Guarantee) -> None:
    """A kill can mean one thing only: what is permitted must occur."""
    for each in over("migration[O]", "kill(worker)", guarantee).values():
        assert each.exact
        assert each.violated == each.permitted


# Tiers and guards ----------------------------------------------------------------------------


@pytest.mark.parametrize("guarantee", [*KEPT, Guarantee.EFFECT_ONCE])
def test_keys(guarantee: Guarantee) -> None:
    """With keys that the provider honours every point is clean and completes."""
    found = over("migration[K]", "kill(worker)", guarantee, Guard.KEYS)
    assert set() == violating(found)
    assert {frozenset({"completed"})} == {each.ends for each in found.values()}


def test_keys_and_restart() -> None:
    """Keys stop the duplicates of a restart, not its stale decisions."""
    found = over("migration[K]", "kill(worker)", Guarantee.RESTART, Guard.KEYS)
    assert {frozenset(), frozenset({"stale_decision"})} == {e.violated for e in found.values()}
    assert 26 == len(violating(found))


def test_tier_k_without_keys() -> None:
    """A tier alone guards nothing: without keys it is as opaque."""
    kept = over("migration[K]", "kill(worker)", Guarantee.MEMO)
    assert at(IRREVERSIBLE, "after_effect") == violating(kept)


def test_keys_without_tier_k() -> None:
    """A key alone guards nothing: a provider that ignores it applies twice."""
    kept = over("migration[O]", "kill(worker)", Guarantee.MEMO, Guard.KEYS)
    assert at(IRREVERSIBLE, "after_effect") == violating(kept)


def test_tier_q() -> None:
    """A provider that can be asked settles what was applied, and what was not."""
    found = over("migration[Q]", "kill(worker)", Guarantee.EFFECT_ONCE)
    assert set() == violating(found)
    assert {frozenset({"completed"})} == {each.ends for each in found.values()}


def test_tier_v_and_a_log() -> None:
    """A version shows that it was not done; that it was, only where the value is known too."""
    found = over("migration[V]", "kill(worker)", Guarantee.EFFECT_ONCE)
    assert set() == violating(found)
    assert at(DOUBTFUL_STEPS, "after_effect") == {
        point for point, each in found.items() if each.ends == {"escalated"}
    }


def test_tier_v() -> None:
    """A version refuses the second switch: no duplicate, but the run believes it failed."""
    found = over("migration[V]", "kill(worker)", Guarantee.MEMO)
    assert {"parity"} == found["cut_over/after_effect#1"].violated
    assert {"duplicate_effect"} == found["truncate_source/after_effect#1"].violated


# Variants and other faults -------------------------------------------------------------------


def test_throttled_at_the_wait() -> None:
    """A memo that dies while it waits for the mail loses and repeats nothing."""
    found = over("migration[O,throttled]", "kill(worker)", Guarantee.MEMO)
    assert 44 == len(found)
    assert frozenset() == found["wait_for_mail/waiting#1"].violated
    assert {"duplicate_effect", "parity"} == found["notify_again/after_effect#1"].violated


def test_throttled_and_asked_again() -> None:
    """A refusal whose answer was lost is called again: what is owed follows the second answer."""
    schedule = "notify/after_effect#1:kill(worker)"
    told = history("migration[O,throttled]", schedule, Guarantee.MEMO)
    found = expected("migration[O,throttled]", schedule, Guarantee.MEMO, events=told)
    assert ("r", "notify") in found.owed
    assert ("r", "notify_again") not in found.owed
    assert frozenset() == found.violated


def test_drift() -> None:
    """What was read and kept is stale once a stranger wrote; his last word is not the run's."""
    found = over("migration[O]", "drift(world)", Guarantee.MEMO)
    order = list(found)
    read, cut = order.index("read_dns/after_ack#1"), order.index("cut_over/after_effect#1")
    assert set(order[read : cut + 1]) == violating(found, "stale_decision")
    assert frozenset() == found["cut_over/after_ack#1"].violated
    assert all(each.exact for each in found.values())


def test_drift_under_tier_v() -> None:
    """A version refuses the stale switch: nothing rests on a false premise."""
    found = over("migration[V]", "drift(world)", Guarantee.MEMO)
    assert set() == violating(found, "stale_decision")
    assert {"lost_effect", "parity"} == found["cut_over/before_effect#1"].violated


def test_late_request() -> None:
    """A request that arrives after its successor's is a zombie's write, and a second one."""
    found = over("migration[O]", "late(request)", Guarantee.MEMO)
    writes = ("create_target", "copy_orders", "copy_users", *IRREVERSIBLE)
    assert 13 == len(found)
    assert at(writes, "before_effect") == violating(found, "zombie_write")
    assert at(IRREVERSIBLE, "before_effect") == violating(found, "duplicate_effect")
    assert {"duplicate_effect", "zombie_write"} == found["cut_over/before_effect#1"].violated


def test_late_request_that_was_escalated() -> None:
    """Who escalates has no successor's write that a late one could follow."""
    found = over("migration[O]", "late(request)", Guarantee.EFFECT_ONCE)
    for point in at(DOUBTFUL_STEPS, "before_effect"):
        assert (frozenset(), {"escalated"}) == (found[point].violated, found[point].ends)


def test_who_takes_over_has_late_requests_refused() -> None:
    """A log's lease is known to the provider too: nothing of the dead arrives."""
    found = over("migration[O]", "late(request)", Guarantee.EFFECT_ONCE)
    assert set() == violating(found)


@pytest.mark.parametrize("guarantee", list(Guarantee))
@pytest.mark.parametrize("text", ["migration[O]", "fan_out[O]"])
def test_pause_permits_what_a_kill_does(text: str, guarantee: Guarantee) -> None:
    """A frozen worker may turn out dead: its alternatives are a superset of a kill's."""
    killed = over(text, "kill(worker)", guarantee)
    for point, paused in over(text, "pause(worker)", guarantee).items():
        assert killed[point].permitted <= paused.permitted
        assert killed[point].ends <= paused.ends
        assert not paused.exact


def test_pause_wakes_a_zombie() -> None:
    """A frozen worker that wakes up may write once more; nothing of it must happen."""
    found = over("migration[O]", "pause(worker)", Guarantee.MEMO)
    assert "zombie_write" in found["notify/before_effect#1"].permitted
    assert set() == violating(found)


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_hang_without_timer(guarantee: Guarantee) -> None:
    """Nobody notices a handler that never answers: the run stays where it is."""
    found = over("migration[O]", "hang(handler)", guarantee, hang_timer_s=None)
    assert 26 == len(found)
    assert {frozenset({"hung_handler", "broken_chain"})} == {e.violated for e in found.values()}
    assert {frozenset({"running"})} == {e.ends for e in found.values()}


def test_hang_with_timer() -> None:
    """A timer calls again: what was applied already is applied twice."""
    found = over("migration[O]", "hang(handler)", Guarantee.MEMO, hang_timer_s=2.0)
    assert at(IRREVERSIBLE, "after_effect") == violating(found)
    assert {frozenset({"completed"})} == {e.ends for e in found.values()}
    assert {2.0} == {e.hang_timer_s for e in found.values()}


def test_lost_reply() -> None:
    """A lost reply is called again in place: twice, or a human is told."""
    kept = over("migration[O]", "lose(reply)", Guarantee.MEMO)
    once = over("migration[O]", "lose(reply)", Guarantee.EFFECT_ONCE)
    assert at(IRREVERSIBLE, "after_effect") == violating(kept)
    assert set() == violating(once)
    assert at(DOUBTFUL_STEPS, "after_effect") == {
        point for point, each in once.items() if each.ends == {"escalated"}
    }


@pytest.mark.parametrize("fault", ["terminate(worker)", "kill(server)"])
def test_racy_faults_demand_nothing_that_a_race_avoids(fault: str) -> None:
    """Where the worker may survive, a duplicate is permitted and never demanded."""
    found = over("migration[O]", fault, Guarantee.MEMO)
    assert set() == violating(found)
    assert "duplicate_effect" in found["notify/after_effect#1"].permitted


def test_fan_out() -> None:
    """Siblings of the broken branch are done before: only the branch itself is repeated."""
    found = over("fan_out[O]", "kill(worker)", Guarantee.MEMO)
    branches = ("charge", "ship", "announce")
    assert 16 == len(found)
    assert at(branches, "after_effect") == violating(found)
    for name in branches:
        told = history("fan_out[O]", f"{name}/after_effect#1:kill(worker)", Guarantee.MEMO)
        applied = [e.data["step"] for e in told if e.kind == "apply" and e.data["step"] in branches]
        assert {**dict.fromkeys(branches, 1), name: 2} == {b: applied.count(b) for b in branches}


def test_fan_out_that_restarts() -> None:
    """A restart repeats every sibling, whichever branch was broken."""
    found = over("fan_out[O]", "kill(worker)", Guarantee.RESTART)
    assert at(("charge", "ship", "announce"), "before_effect") <= violating(found)


def test_approval() -> None:
    """A run that dies while it waits for a human goes on waiting."""
    found = over("approval[O]", "kill(worker)", Guarantee.MEMO)
    assert at(("ask_reviewer", "ask_manager", "publish"), "after_effect") == violating(found)
    assert frozenset() == found["reviewed manager/waiting#1"].violated


@pytest.mark.parametrize("fault", ["cut(link)", "black_hole(link)", "half_open(link)"])
def test_broken_link(fault: str) -> None:
    """What was done behind a broken link may be done again; what was recorded is not."""
    found = over("migration[O]", fault, Guarantee.MEMO)
    assert 40 == len(found)
    assert set() == violating(found)
    assert "duplicate_effect" in found["notify/after_effect#1"].permitted
    # The answer comes while the link is broken: that it was done is not recorded either.
    assert "duplicate_effect" in found["notify/before_effect#1"].permitted
    assert frozenset() == found["finalize#1"].permitted
    assert all("lost_effect" not in each.permitted for each in found.values())


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_rewound_store(guarantee: Guarantee) -> None:
    """What the store forgot comes again, unless keys prevent it; an effect log's head knows it."""
    bare = over("migration[O]", "rewind(store)", guarantee)
    keyed = over("fan_out[K]", "rewind(store)", guarantee, Guard.KEYS)
    once = guarantee is Guarantee.EFFECT_ONCE
    assert once is ("duplicate_effect" not in bare["notify/after_ack#1"].permitted)
    assert once is ("escalated" in bare["notify/after_ack#1"].ends)
    assert "duplicate_effect" not in bare["read_tables/after_ack#1"].permitted
    assert {frozenset()} == {each.permitted for each in keyed.values()}


@pytest.mark.parametrize("fault", ["kill(parent)", "kill(listener)", "roll(workers)"])
def test_parts_and_rolls_permit_what_a_kill_does(fault: str) -> None:
    """The worker may be dead, or live on: all that a kill may do, they may."""
    killed = over("migration[O]", "kill(worker)", Guarantee.MEMO)
    for point, each in over("migration[O]", fault, Guarantee.MEMO).items():
        assert killed[point].permitted <= each.permitted
        assert not each.violated


def test_listener_leaves_a_zombie() -> None:
    """The body of a worker without a listener goes on; after SIGTERM of a roll it does not."""
    part = over("migration[O]", "kill(listener)", Guarantee.MEMO)["notify/before_effect#1"]
    roll = over("migration[O]", "roll(workers)", Guarantee.MEMO)["notify/before_effect#1"]
    assert "zombie_write" in part.permitted
    assert "zombie_write" not in roll.permitted


ROLLOUT = "rollout[O]"


def test_changed_program() -> None:
    """Another program may go on truthfully or be refused; what was renamed may come twice."""
    found = over(ROLLOUT, "change(renamed)", Guarantee.MEMO)
    assert {"completed", "failed", "parked", "retrying"} == found["drain_pool/after_ack#1"].ends
    assert "parity" in found["drain_pool/after_ack#1"].permitted
    assert "parity" not in found["drain_pool/before_effect#1"].permitted
    assert all(each.changed and not each.violated for each in found.values())
    assert all("ghost_running" in each.permitted for each in found.values())


def test_reordered_and_removed_programs_lose_nothing() -> None:
    """Steps that have changed places, or are gone, are no reason to repeat or lose one."""
    for fault in ("change(reordered)", "change(removed)"):
        found = over(ROLLOUT, fault, Guarantee.MEMO)
        assert {"parity"} == found["drain_pool/after_effect#1"].permitted & {"parity"}
        clean = found["drain_pool/after_ack#1"].permitted
        assert not clean & {"parity", "duplicate_effect", "lost_effect"}


def test_renamed_steps_are_not_owed_by_name() -> None:
    """A version may call an effect by another name: then parity tells whether it is there."""
    found = over(ROLLOUT, "change(renamed)", Guarantee.MEMO)["read_image/after_ack#1"]
    assert {("r", "switch_image"), ("r", "refill_pool")} == set(found.owed)


# Depth 2 -------------------------------------------------------------------------------------


def seconds(text: str, guarantee: Guarantee) -> list[Schedule]:
    """Return every second kill after every first one, as the model's histories show them."""
    found = []
    for point in points(text):
        first = Schedule((Stage(point, "kill(worker)"),))
        left = visited(history(text, first, guarantee), (), EVERYONE, [point])
        found += [Schedule((*first.stages, Stage(p, "kill(worker)"))) for p in left]
    return found


@pytest.mark.parametrize("guarantee", KEPT)
def test_depth_two(guarantee: Guarantee) -> None:
    """A run that keeps what it did has ever fewer points left: 820 schedules, not 1,600."""
    found = seconds("migration[O]", guarantee)
    assert 820 == len(found) == len({str(schedule) for schedule in found})


def test_depth_two_of_a_restart() -> None:
    """A run that begins again passes all 40 points after every first kill."""
    assert 1600 == len(seconds("migration[O]", Guarantee.RESTART))


def test_two_kills() -> None:
    """Each lost answer counts: the second application may be the third."""
    schedule = "notify/after_effect#1:kill(worker)+notify/after_effect#2:kill(worker)"
    told = history("migration[O]", schedule, Guarantee.MEMO)
    assert 3 == sum(e.kind == "apply" and e.data["step"] == "notify" for e in told)
    assert {"duplicate_effect", "parity"} == expected(
        "migration[O]", schedule, Guarantee.MEMO
    ).violated


def test_too_many_ways() -> None:
    """More combinations than can be followed are refused, with the schedule's id."""
    names = ("read_tables", "read_grants", "read_dns")
    schedule = "+".join(f"{name}/before_effect#1:pause(worker)" for name in names)
    with pytest.raises(ModelError) as caught:
        expected("migration[O]", schedule, Guarantee.MEMO)
    assert f"{schedule}: more than 64 ways" in str(caught.value)


# Histories of the model ----------------------------------------------------------------------


def test_its_history_is_like_a_real_one() -> None:
    """Calls are numbered, carry their incarnation, and the fault stands between them."""
    told = history("migration[O]", "notify/before_effect#1:kill(worker)", Guarantee.MEMO)
    calls = [
        (e.data["nth"], e.data["incarnation"])
        for e in told
        if e.kind == "call" and e.data["step"] == "notify"
    ]
    assert [(1, "1"), (2, "2")] == calls
    assert 1 == sum(e.kind == "fault" for e in told)
    assert 1 == sum(e.kind == "apply" and e.data["step"] == "notify" for e in told)


async def _napper(_: Any) -> Any:
    await sleep("nap", 25 * 3600.0)
    write = await step("write", Op("append", Effect.IRREVERSIBLE), {"path": "log", "value": 1})
    return write.status


def test_refusals_count_per_call() -> None:
    """A variant that refuses the second call refuses the one after the kill."""
    scenario = Scenario(
        name="napper",
        programs=(Program(name="napper", body=_napper),),
        world={"log": []},
        variants={"broken": (Answer(step="write", status="failed", nth=2),)},
    )
    (broken,) = cases(scenario, "test", "broken")
    schedule = parse("write/after_effect#1:kill(worker)")
    found = expect(broken, schedule, Guarantee.MEMO, Guard.NONE, {}, "r", ARG)
    assert {"parity"} == found.violated


# What an agent can do wrong to the world ------------------------------------------------------

DOUBTFUL = "charge/after_effect#1:age({})"


@pytest.mark.parametrize("guarantee", [Guarantee.RESTART, *KEPT])
def test_a_key_is_good_for_its_retention(guarantee: Guarantee) -> None:
    """Within the retention a key makes one charge of two requests, after it there are two."""
    young = expected("order[K]", DOUBTFUL.format("23h"), guarantee, Guard.KEYS)
    old = expected("order[K]", DOUBTFUL.format("25h"), guarantee, Guard.KEYS)
    assert (frozenset(), {"duplicate_effect", "parity"}) == (young.violated, old.violated)


def test_who_knows_the_retention_asks_a_human() -> None:
    """With intents, a key that may be forgotten is no way out: the run is escalated."""
    for fault, end in (("23h", "completed"), ("25h", "escalated")):
        found = expected("order[K]", DOUBTFUL.format(fault), Guarantee.EFFECT_ONCE, Guard.KEYS)
        assert ({end}, frozenset()) == (found.ends, found.violated)


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_a_gateway_outlives_the_night(guarantee: Guarantee) -> None:
    """Who asks 25 h later is answered from what the gateway has sealed."""
    found = expected("order[K]", DOUBTFUL.format("25h"), guarantee, Guard.GATEWAY)
    assert ({"completed"}, frozenset()) == (found.ends, found.violated)


def test_a_search_that_lags_is_no_answer() -> None:
    """What a provider of tier Q does not know yet is in doubt; what it knows is settled."""
    for text, end in (("order[Q]", "escalated"), ("migration[Q]", "completed")):
        step_ = {"order[Q]": "hand_over", "migration[Q]": "notify"}[text]
        found = expected(text, f"{step_}/after_effect#1:kill(worker)", Guarantee.EFFECT_ONCE)
        assert {end} == found.ends


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_a_strangers_words_are_not_the_runs_own(guarantee: Guarantee) -> None:
    """What an injected document asks for is out of scope, and owed by nobody; a gateway refuses."""
    for guard, found in ((Guard.NONE, {"overreach", "parity"}), (Guard.GATEWAY, frozenset())):
        seen = expected("memo[O,injected]", Schedule(), guarantee, guard)
        assert ({"completed"}, found) == (seen.ends, seen.violated)
        assert ("r", "do_0") in seen.owed
        assert ("r", "do_1") not in seen.owed
    assert frozenset() == expected("memo[O]", Schedule(), guarantee).violated


def test_scope_is_that_of_the_uninjected_program() -> None:
    """A provider's refusals widen the scope of a run, a stranger's words do not."""
    paths = {name: {s.path for s in ideal(case(name), "r", ARG).scope} for name in ("memo[O]",)}
    assert paths["memo[O]"] == {s.path for s in ideal(case("memo[O,injected]"), "r", ARG).scope}
    sold_out = ideal(case("order[O,sold_out]"), "r", ARG)
    assert "refunds" in {scope.path for scope in sold_out.scope}
    assert "refunds" not in {scope.path for scope in ideal(case("order[O]"), "r", ARG).scope}


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_who_keeps_replies_keeps_what_they_repeat(guarantee: Guarantee) -> None:
    """An echoed credential stands in the record of who has one, unless a gateway took it out."""
    point = "read_health/after_ack#1:kill(worker)"
    bare = expected("health[O,echo]", point, guarantee)
    keeps = guarantee is not Guarantee.RESTART
    assert ({"credential_leak"} if keeps else frozenset()) == bare.violated
    assert frozenset() == expected("health[O,echo]", point, guarantee, Guard.GATEWAY).permitted
    assert frozenset() == expected("health[O]", point, guarantee).permitted
    assert CREDENTIAL not in str(bare.world)


@pytest.mark.parametrize("guarantee", list(Guarantee))
@pytest.mark.parametrize("point", ["charge/before_effect#1", "charge/after_ack#1", "finalize#1"])
def test_nothing_begins_after_a_revocation(guarantee: Guarantee, point: str) -> None:
    """What was in flight ends, the rest is refused, and a human has the run."""
    schedule = f"{point}:revoke(token)"
    found = expected("order[O]", schedule, guarantee, Guard.GATEWAY)
    assert ({"escalated"}, frozenset()) == (found.ends, found.permitted)
    applied = [
        event.data["step"]
        for event in history("order[O]", schedule, guarantee, Guard.GATEWAY)
        if event.kind == "apply"
    ]
    everything = ["charge", "hand_over", "send_receipt"]
    assert (everything if point == "finalize#1" else everything[:1]) == applied


def test_a_program_that_cannot_live_with_refusals() -> None:
    """Where refusals break the body itself, the run is in a human's hands all the same."""
    schedule = "read_tables/before_effect#1:revoke(token)"
    found = expected("migration[V]", schedule, Guarantee.MEMO, Guard.GATEWAY)
    assert {"escalated"} == found.ends


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_two_at_one_step_are_one_at_the_gateway(guarantee: Guarantee) -> None:
    """Two live workers may double each effect; behind a gateway, and with intents, they cannot."""
    schedule = "charge/before_effect#1:double(worker)"
    bare = expected("order[O]", schedule, guarantee)
    once = guarantee is Guarantee.EFFECT_ONCE
    doubled = frozenset() if once else {"duplicate_effect", "parity", "zombie_write"}
    assert doubled == bare.permitted
    assert frozenset() == expected("order[O]", schedule, guarantee, Guard.GATEWAY).permitted


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_two_of_one_name_are_one_at_the_gateway(guarantee: Guarantee) -> None:
    """Who wakes beside its successor may double what is left; an epoch, or a gateway, says no."""
    schedule = "charge/after_ack#1:namesake(worker)"
    bare = expected("order[O]", schedule, guarantee)
    once = guarantee is Guarantee.EFFECT_ONCE
    assert (set() if once else {"duplicate_effect", "parity", "zombie_write"}) == bare.permitted
    assert frozenset() == expected("order[O]", schedule, guarantee, Guard.GATEWAY).permitted
    # One after the other, no write comes after a later call of the other one.
    apart = expected("order[O]", "charge/after_ack#1:pause(worker)", Guarantee.MEMO)
    assert {"duplicate_effect", "parity"} == apart.permitted


def test_words_that_differ_under_one_key() -> None:
    """Asked again, a model chooses other words: the key's provider refuses, a seal has the first."""
    schedule = "send_money/after_effect#1:kill(worker)"
    found = {
        guard: expected("transfer[K]", schedule, Guarantee.RESTART, guard).violated
        for guard in Guard
    }
    assert {
        Guard.NONE: {"duplicate_effect", "parity", "stale_decision"},
        Guard.KEYS: {"parity", "stale_decision"},
        Guard.GATEWAY: frozenset(),
    } == found


def test_looking_again_after_it_was_done() -> None:
    """Who begins again finds the name switched and drops what was to follow."""
    schedule = "switch/after_effect#1:kill(worker)"
    assert "parity" in expected("cutover[V]", schedule, Guarantee.RESTART).violated
    assert frozenset() == expected("cutover[V]", schedule, Guarantee.MEMO).violated


def test_providers_of_their_own() -> None:
    """Where the holder of the log dies, each effect is settled by what its own provider offers."""
    found = over("live-move[K]", "kill(gateway)", Guarantee.EFFECT_ONCE, Guard.GATEWAY)
    asked = {point for point, each in found.items() if each.ends == {"escalated"}}
    assert {"notify/before_effect#1", "notify/after_effect#1"} == asked
    assert {frozenset[str]()} == {each.violated for each in found.values()}


def test_what_a_stranger_added_is_lost_by_force_only() -> None:
    """With versions a push rests on what is there; without, it takes a colleague's commit away."""
    at = "push/after_effect#1:drift(world)"
    forced = expected("live-push[O]", at, Guarantee.MEMO)
    assert {"parity", "stale_decision", "duplicate_effect"} == forced.violated
    assert frozenset() == expected("live-push[V]", at, Guarantee.MEMO).violated
    planned = expected("live-push[V]", at, Guarantee.EFFECT_ONCE, Guard.GATEWAY)
    assert (frozenset(), {"completed"}) == (planned.violated, planned.ends)


# A gateway's log, its steps, and a human's word ------------------------------------------------


ONLY_ESCALATED = ({"escalated"}, frozenset())


@pytest.mark.parametrize("guarantee", list(Guarantee))
@pytest.mark.parametrize("fault", ["cut(log)", "flip(log)"])
def test_a_damaged_log_is_a_humans(guarantee: Guarantee, fault: str) -> None:
    """Wherever what was acknowledged is missing, nothing more is done, and nothing twice."""
    for found in over("order[K]", fault, guarantee, Guard.GATEWAY).values():
        assert ONLY_ESCALATED == (found.ends, found.permitted)


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_a_torn_record_is_as_if_the_gateway_had_died(guarantee: Guarantee) -> None:
    """Nobody was told of it: what was out is settled by what the provider promises."""
    for text, ends in (("order[K]", "completed"), ("order[O]", "escalated")):
        schedule = "charge/after_effect#1:{}(log)"
        torn = expected(text, schedule.format("tear"), guarantee, Guard.GATEWAY)
        dead = schedule.replace("{}(log)", "kill(gateway)")
        assert ({ends}, frozenset()) == (torn.ends, torn.permitted)
        assert expected(text, dead, guarantee, Guard.GATEWAY).ends == torn.ends


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_no_room_is_no_end(guarantee: Guarantee) -> None:
    """What was not begun waits for room; what was done and not written down is in doubt."""
    found = over("order[O]", "full(disk)", guarantee, Guard.GATEWAY)
    assert {frozenset()} == {each.permitted for each in found.values()}
    asked = {point for point, each in found.items() if each.ends == {"escalated"}}
    assert at(("charge", "hand_over", "send_receipt"), "after_effect") == asked


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_a_forgetful_gateway(guarantee: Guarantee) -> None:
    """It does again what was done, under a key of its own; a used word does not serve twice."""
    schedule = "{}/after_effect#1:wipe(log)"
    for text in ("order[O]", "order[K]"):
        found = expected(text, schedule.format("charge"), guarantee, Guard.GATEWAY)
        assert {"duplicate_effect", "parity"} == found.violated
    word = expected("payout[O]", schedule.format("pay_out"), guarantee, Guard.GATEWAY)
    assert ONLY_ESCALATED == (word.ends, word.permitted)


@pytest.mark.parametrize("guarantee", list(Guarantee))
@pytest.mark.parametrize("fault", ["drift(world)", "drift(approval)"])
def test_a_word_that_has_grown_old(guarantee: Guarantee, fault: str) -> None:
    """An event is believed whatever has changed, but by who plans anew; a gateway asks again."""
    schedule = f"approved payout/waiting#1:{fault}"
    bare = expected("payout[O]", "approved payout/waiting#1:drift(world)", guarantee)
    replans = guarantee is Guarantee.EFFECT_ONCE
    restarts = guarantee is Guarantee.RESTART
    found = set() if replans else {"stale_decision"}
    assert (found | {"unapproved"} if restarts else found) == bare.violated
    assert {"escalated" if replans else "completed"} == bare.ends
    guarded = expected("payout[O]", schedule, guarantee, Guard.GATEWAY)
    assert frozenset() == guarded.permitted
    assert {"completed" if replans else "escalated"} == guarded.ends
    words = [
        event.data["premises"]
        for event in history("payout[O]", schedule, guarantee, Guard.GATEWAY)
        if event.kind == "word"
    ]
    assert ([{"balance": "v1"}, {"balance": "v2"}] if replans else [{"balance": "v1"}]) == words


def test_a_word_is_for_one_payment() -> None:
    """Whoever repeats what a human allowed has no word for it."""
    schedule = "pay_out/after_effect#1:kill(worker)"
    found = expected("payout[O]", schedule, Guarantee.MEMO)
    assert {"duplicate_effect", "parity", "unapproved"} == found.violated
    assert frozenset() == expected("payout[O]", "golden", Guarantee.MEMO).permitted


def test_all_steps_that_a_program_has() -> None:
    """Also those that it takes only where it is refused, and those of its children."""
    has = {
        name: slots(case(name), "r", ARG)
        for name in ("cutover[V]", "order[O]", "migration[O]", "fan_out[O]", "memo[O,injected]")
    }
    assert {"look_again", "switch_again"} < has["cutover[V]"]
    assert "pay_back" in has["order[O]"]
    assert "notify_again" in has["migration[O]"]
    for name, found in has.items():
        own = ideal(case(name), "r", ARG)
        steps = {*own.steps, *(step for steps in own.work.values() for step in steps)}
        assert steps <= found or "injected" in name
    assert "do_0" in has["memo[O,injected]"]
    assert "do_1" not in has["memo[O,injected]"]


def test_a_program_without_an_end_has_no_list() -> None:
    """Nobody can say what it may do, so that nothing of it is refused for its name."""

    def tries(most: int) -> frozenset[str]:
        async def body(arg: Any) -> Any:
            del arg
            for count in range(most):
                write = {"path": "x", "value": 1}
                if (await step(f"try_{count}", Op("set", Effect.IDEMPOTENT), write)).ok:
                    return

        programs = (Program(name="p", body=body),)
        stubborn = Scenario(name="stubborn", programs=programs, world={"x": 0})
        return slots(Case(scenario=stubborn, ref="test", tier=Tier.O), "r", ARG)

    assert {"try_0", "try_1", "try_2"} == tries(3)
    assert frozenset() == tries(1_000)


def test_a_renamed_step_behind_a_gateway() -> None:
    """It stops the run, where the program runs on at all; without one it is done again."""
    schedule = "drain_pool/after_ack#1:change(renamed)"
    assert "parity" in expected("rollout[O]", schedule, Guarantee.MEMO).permitted
    guarded = expected("rollout[O]", schedule, Guarantee.MEMO, Guard.GATEWAY)
    assert "escalated" in guarded.ends
    assert "completed" not in guarded.ends
    for other in ("reordered", "removed"):
        harmless = schedule.replace("renamed", other)
        ends = expected("rollout[O]", harmless, Guarantee.MEMO, Guard.GATEWAY).ends
        assert "completed" in ends
        assert "escalated" not in ends
