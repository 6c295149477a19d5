"""Points and schedules: their ids, and what a history says was passed."""

from __future__ import annotations

import asyncio

from typing import Any

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.effects import Json
from harness.faults import FAULTS
from harness.history import Event
from harness.program import Command, One, Step, play
from harness.runtime import Witness
from harness.schedule import PHASES, Point, Schedule, ScheduleError, Stage, parse, visited
from harness.world.cell import Call, Cell
from scenarios.migration import SCENARIO


EVERYONE = dict.fromkeys(PHASES, Witness.WORLD)


def history(*events: tuple[str, dict[str, Any]]) -> list[Event]:
    """Return a history of one run."""
    return [Event(i, i, kind, "r", data) for i, (kind, data) in enumerate(events)]


def call(step: str, nth: int = 1, who: str = "w1", seq: int = 1) -> tuple[str, dict[str, Any]]:
    """Return a call."""
    return "call", {"step": step, "nth": nth, "incarnation": who, "seq": seq}


def reply(step: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Return an answer."""
    return "reply", {"step": step, "incarnation": "w1", "seq": 1, "reply": {}, **more}


FAULT = ("fault", {"fault": "kill(worker)"})


def names(points: list[Point]) -> list[str]:
    """Return points as they print."""
    return [str(point) for point in points]


# Ids -----------------------------------------------------------------------------------------


def test_print() -> None:
    """An id names each point and what is broken there."""
    schedule = Schedule(
        (
            Stage(Point("truncate", "after_effect"), "kill(worker)"),
            Stage(Point("", "finalize", 2), "kill(server)"),
        )
    )
    assert str(schedule) == "truncate/after_effect#1:kill(worker)+finalize#2:kill(server)"


def test_golden() -> None:
    """A schedule without stages is the golden run."""
    assert str(Schedule()) == "golden"
    assert Schedule() == parse("golden")


POINTS = st.builds(
    Point,
    st.text(
        st.characters(exclude_characters="+:", exclude_categories=["C", "Zl", "Zp"]), min_size=1
    ),
    st.sampled_from(PHASES),
    st.integers(1, 99),
)
STAGES = st.builds(
    Stage,
    st.one_of(POINTS, st.builds(Point, st.just(""), st.just("finalize"), st.integers(1, 9))),
    st.sampled_from(sorted(FAULTS)),
)


@settings(derandomize=True, deadline=None)
@given(st.lists(STAGES, max_size=3).map(lambda stages: Schedule(tuple(stages))))
def test_round_trip(schedule: Schedule) -> None:
    """What an id prints, it parses, whatever the steps are called."""
    assert schedule == parse(str(schedule))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "truncate",
        "truncate/after_effect:kill(worker)",
        "truncate/after_effect#1",
        "truncate/after_effect#1:",
        "truncate/after_effect#x:kill(worker)",
        "truncate/someday#1:kill(worker)",
        "truncate/after_effect#1:kill(worker)+",
    ],
)
def test_bad_id(text: str) -> None:
    """What is no id is refused, with the form that is expected."""
    with pytest.raises(ScheduleError) as caught:
        parse(text)
    assert "is no stage of a schedule; expected STEP/PHASE#N:FAULT" in str(caught.value)
    assert ", ".join(PHASES) in str(caught.value)


def test_armed() -> None:
    """The envelope arms what a worker must report, each once."""
    text = (
        "a/before_effect#1:f+a/after_ack#1:f+a/after_ack#2:f+finalize#1:f+w/waiting#1:f"
        "+finalize#2:f"
    )
    assert ("a/after_ack", "finalize") == parse(text).armed
    assert Schedule().armed == ()


# What was passed -----------------------------------------------------------------------------


def test_visited_of_a_clean_run() -> None:
    """Each step has three phases, and the run has its end."""
    events = history(call("a"), reply("a"), call("b", seq=2), reply("b"))
    assert [
        "a/before_effect#1",
        "a/after_effect#1",
        "a/after_ack#1",
        "b/before_effect#1",
        "b/after_effect#1",
        "b/after_ack#1",
        "finalize#1",
    ] == names(visited(events, (), EVERYONE))


def test_visited_after_a_fault() -> None:
    """Only what follows the last fault counts, numbered on from what came before."""
    events = history(call("a"), reply("a"), call("b", seq=2), FAULT, call("b", 2, "w2"), reply("b"))
    points = visited(events, (), EVERYONE, [Point("b", "before_effect")])
    assert ["b/before_effect#2", "b/after_effect#2", "b/after_ack#1", "finalize#1"] == names(points)


def test_visited_after_a_restart() -> None:
    """A step that is carried out again is recorded a second time."""
    events = history(call("a"), reply("a"), FAULT, call("a", 2, "w2"), reply("a"))
    points = visited(events, (), EVERYONE, [Point("a", "after_ack")])
    assert ["a/before_effect#2", "a/after_effect#2", "a/after_ack#2", "finalize#1"] == names(points)


def test_visited_after_a_fault_at_the_end() -> None:
    """A run that dies at its end comes there a second time."""
    events = history(call("a"), reply("a"), FAULT)
    assert ["finalize#2"] == names(visited(events, (), EVERYONE, [Point("", "finalize")]))


@pytest.mark.parametrize(
    ("blind", "expected"),
    [
        ("after_ack", ["a/before_effect#1", "a/after_effect#1", "nap/waiting#1", "finalize#1"]),
        ("waiting", ["a/before_effect#1", "a/after_effect#1", "a/after_ack#1", "finalize#1"]),
        ("finalize", ["a/before_effect#1", "a/after_effect#1", "a/after_ack#1", "nap/waiting#1"]),
    ],
)
def test_a_phase_without_witness(blind: str, expected: list[str]) -> None:
    """What nobody can vouch for is no point."""
    events = history(call("a"), reply("a"))
    assert expected == names(visited(events, ("nap",), {**EVERYONE, blind: Witness.NONE}))


def test_a_phase_that_is_not_declared() -> None:
    """A runtime that does not mention a phase cannot vouch for it."""
    assert visited(history(call("a"), reply("a")), ("nap",), {}) == [
        Point("a", "before_effect"),
        Point("a", "after_effect"),
    ]


def test_waits() -> None:
    """Waits come from the model; one that was broken comes a second time."""
    events = history(call("a"), reply("a"))
    earlier = [Point("nap", "waiting")]
    points = visited(events, ("nap", "rest"), EVERYONE, earlier)
    assert ["nap/waiting#2", "rest/waiting#1", "finalize#1"] == names(points)[3:]


def test_reports_are_no_replies() -> None:
    """The answer to a reported phase is not the answer of a step."""
    events = history(call("a"), reply("a"), reply("a", phase="after_ack"))
    assert ["a/after_ack#1"] == [n for n in names(visited(events, (), EVERYONE)) if "ack" in n]


class Naive:
    """Ops that carry a run out over a cell and write what the world would write."""

    armed: frozenset[str] = frozenset()

    def __init__(self) -> None:
        """Begin with the first world of the migration."""
        self.cell = Cell.of(SCENARIO.tiers[0], SCENARIO.world)
        self.events: list[tuple[str, dict[str, Any]]] = []

    async def step(self, command: Step) -> dict[str, Json]:
        """Apply a step and note call and reply."""
        self.events.append(call(command.name, seq=len(self.events)))
        done = self.cell.apply(
            Call(
                run="r",
                step=command.name,
                op=command.op.verb,
                effect=command.op.effect,
                args=command.args,
            )
        )
        self.events.append(reply(command.name))
        return done.reply

    async def gather(self, commands: list[Command], one: One) -> list[Any]:
        """Carry out one after the other."""
        return [await one(command) for command in commands]


def test_forty_points() -> None:
    """The migration's run without faults has 13 steps of three phases, and its end."""
    ops = Naive()
    asyncio.run(play(SCENARIO.main.body, {"run": "r"}, ops))  # type: ignore[arg-type]
    points = visited(history(*ops.events), (), EVERYONE)
    assert 40 == len(points) == len(set(points))
    assert [Point("", "finalize")] == points[39:]
