"""How a policy reads in DBOS's own terms: queues, and the options of a start."""

from __future__ import annotations

from typing import Any

import pytest

from harness.policy import (
    CancelOn,
    Concurrency,
    Debounce,
    Policy,
    RateLimit,
    Retry,
    Singleton,
    Throttle,
)
from harness.runtime import Envelope, RuntimeUnavailableError, Start
from harness.scenario import Program, Scenario
from runtimes.dbos.starts import (
    ASK,
    GATE,
    LOWEST,
    QUEUE,
    asked,
    emulates,
    heard,
    options,
    queues,
    step_options,
)


SCALE = 0.1


async def body(arg: Any) -> Any:
    """Return what was given."""
    return arg


def program(name: str = "p", on: tuple[str, ...] = (), **policy: Any) -> Program:
    """Return a program with a policy."""
    return Program(name=name, body=body, on=on, policy=Policy(**policy))


def scenario(*programs: Program) -> Scenario:
    """Return a scenario of programs."""
    return Scenario(name="s", programs=programs, world={}, time_scale=SCALE)


def start(run: str, program: str, arg: Any = None) -> Start:
    """Return a start of a run."""
    envelope = Envelope(trial="t", pool="t", cell="t", run=run)
    return Start(envelope=envelope, program=program, arg=arg)


@pytest.mark.parametrize(
    ("policy", "limits"),
    [
        ({"concurrency": Concurrency(limit=2)}, {"global_concurrency": 2}),
        ({"concurrency": Concurrency(limit=2, key="k")}, {"partition_concurrency": 2}),
        (
            {"throttle": Throttle(limit=3, period_s=60.0)},
            {"limiter": {"limit": 3, "period": 6.0}},
        ),
        ({"priority": "rank"}, {}),
    ],
)
def test_limits_are_a_queue_of_the_program(policy: Any, limits: Any) -> None:
    """A program with limits has a queue of its own, in real seconds; others share one."""
    found = queues(scenario(program("free"), program(**policy)))
    assert [{"name": QUEUE}, {"name": "runs.p", **limits}] == found


@pytest.mark.parametrize(
    "policy",
    [
        {
            "concurrency": Concurrency(limit=1, key="a"),
            "throttle": Throttle(limit=1, period_s=1.0, key="b"),
        },
        {
            "concurrency": Concurrency(limit=1, key="a"),
            "singleton": Singleton(key="b", mode="skip"),
        },
        {"debounce": Debounce(period_s=1.0, max_s=2.0), "priority": "rank"},
        {"retry": Retry(attempts=9, first_s=1.0, factor=2.0, max_s=60.0)},
    ],
    ids=["two keys", "key and singleton", "debounce and priority", "capped waits"],
)
def test_what_cannot_be_done_is_refused(policy: Any) -> None:
    """What DBOS would do otherwise than asked is not measured, and the program is named."""
    with pytest.raises(RuntimeUnavailableError, match="'p' asks for"):
        queues(scenario(program(**policy)))


def test_the_highest_rank_has_the_lowest_number() -> None:
    """DBOS takes the lowest number first."""
    ranked = program(priority="rank")
    assert LOWEST - 3 == options(ranked, "r", {"rank": 3}, SCALE)["priority"]


def test_a_singleton_holds_its_key() -> None:
    """The key is DBOS's deduplication id, and a second start is given the first run."""
    found = options(program(singleton=Singleton(key="u", mode="skip")), "r", {"u": 1}, SCALE)
    assert ("1", "return-existing") == (found["deduplication_id"], found["duplication_policy"])


def test_starts_that_need_a_decision_come_by_the_gate() -> None:
    """All of one call are one workflow, so that they are decided on in their order."""
    both = scenario(
        program("limited", rate_limit=RateLimit(limit=1, period_s=1.0)), program("free")
    )
    starts = [start("a", "limited"), start("b", "free"), start("c", "limited")]
    free, gate = asked(both, starts)
    assert {"name": GATE, "global_concurrency": 1} in queues(both)
    assert isinstance(free, dict)
    assert isinstance(gate, dict)
    assert ("b", QUEUE) == (free["options"]["workflow_id"], free["options"]["queue_name"])
    assert (ASK, GATE) == (gate["options"]["workflow_name"], gate["options"]["queue_name"])
    assert ["a", "c"] == [envelope["run"] for _, envelope, _ in gate["args"][0]]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (program(), False),
        (program(concurrency=Concurrency(limit=1), priority="rank"), False),
        (program(on=("told",)), True),
        (program(cancel_on=(CancelOn(event="told", match="k"),)), True),
        (program(rate_limit=RateLimit(limit=1, period_s=1.0)), True),
    ],
)
def test_emulations_are_loaded_where_they_are_used(one: Program, expected: bool) -> None:
    """What DBOS does by itself needs none of ours."""
    assert expected is emulates(scenario(one))


def test_an_event_is_heard_by_who_starts_or_ends_by_it() -> None:
    """An event that nobody hears is not sent."""
    both = scenario(
        program("a", on=("told",)), program("b", cancel_on=(CancelOn(event="stop", match="k"),))
    )
    assert [True, True, False] == [heard(both, event) for event in ("told", "stop", "silence")]


def test_a_step_has_the_options_of_its_policy() -> None:
    """The policy stands before the profile, in real seconds."""
    policy = Policy(retry=Retry(attempts=3, first_s=2.0, factor=3.0), step_timeout_s=5.0)
    assert {
        "name": "s",
        "retries_allowed": True,
        "max_attempts": 3,
        "interval_seconds": 2.0 * SCALE,
        "backoff_rate": 3.0,
        "timeout_seconds": 5.0 * SCALE,
    } == step_options(policy, {"max_attempts": 10, "timeout_seconds": 45.0}, "s", SCALE)
