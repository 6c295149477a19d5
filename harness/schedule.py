"""Points, schedules, and their printable ids.

A point is a place where a run can stand: ``truncate/after_effect#1`` or ``finalize#1``.  A
schedule is one or more points with what is broken there, joined by ``+``.  An id is enough
to replay a schedule; enumeration is stable and has no seed.
"""

from __future__ import annotations

import re

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.history import Event
from harness.program import AFTER_ACK, FINALIZE
from harness.runtime import Witness


BEFORE, AFTER, WAITING = "before_effect", "after_effect", "waiting"
PHASES = (BEFORE, AFTER, AFTER_ACK, FINALIZE, WAITING)
ATTACH = "attach"
"""Before any run: the moment at which the engine is told of its first worker."""
_STAGE = re.compile(
    r"^(?:(?P<step>.+)/)?(?P<phase>[a-z_]+)#(?P<nth>\d+):(?P<fault>.+)\Z", re.DOTALL
)


class ScheduleError(Exception):
    """A schedule id cannot be read, or names what cannot be reached."""


@dataclass(frozen=True, slots=True)
class Point:
    """The ``nth`` time that a run stands at a phase of a step."""

    step: str
    phase: str
    nth: int = 1

    def __str__(self) -> str:
        """Return the printable form."""
        place = f"{self.step}/{self.phase}" if self.step else self.phase
        return f"{place}#{self.nth}"

    @property
    def armed(self) -> str:
        """Return what the envelope must arm for it, if anything."""
        if self.phase == AFTER_ACK:
            return f"{self.step}/{AFTER_ACK}"
        return FINALIZE if self.phase == FINALIZE else ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One fault at one point."""

    point: Point
    fault: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is broken, and where, in order; without stages it is a golden run."""

    stages: tuple[Stage, ...] = ()

    def __str__(self) -> str:
        """Return the id."""
        return "+".join(f"{stage.point}:{stage.fault}" for stage in self.stages) or "golden"

    @property
    def armed(self) -> tuple[str, ...]:
        """Return what the envelope must arm."""
        return tuple(dict.fromkeys(s.point.armed for s in self.stages if s.point.armed))


def parse(text: str) -> Schedule:
    """Return the schedule of an id.

    Raises:
        ScheduleError: the text is no schedule id.

    """
    if text == "golden":
        return Schedule()
    stages = []
    for part in text.split("+"):
        match = _STAGE.match(part)
        if match is None or match["phase"] not in {*PHASES, ATTACH}:
            known = ", ".join((*PHASES, ATTACH))
            msg = (
                f"{part!r} is no stage of a schedule; expected STEP/PHASE#N:FAULT, e.g. "
                f"truncate/after_effect#1:kill(worker), with PHASE one of {known}"
            )
            raise ScheduleError(msg)
        point = Point(match["step"] or "", match["phase"], int(match["nth"]))
        stages.append(Stage(point, match["fault"]))
    return Schedule(tuple(stages))


def visited(
    events: Iterable[Event],
    waits: Sequence[str],
    witness: Mapping[str, Witness],
    earlier: Sequence[Point] = (),
) -> list[Point]:
    """Return the points that a run passes, in order, after the last fault in its history.

    ``waits`` names the commands that wait (from the model), ``witness`` says which phases
    this runtime can vouch for, ``earlier`` are the points at which faults came before:
    reports counted there push later ones up.
    """

    def seen(phase: str) -> bool:
        return witness.get(phase, Witness.NONE) is not Witness.NONE

    points: list[Point] = []
    acks: dict[str, int] = {}
    finals = sum(point.phase == FINALIZE for point in earlier)
    waited = {point.step: point.nth for point in earlier if point.phase == WAITING}
    for event in events:
        if "." in event.run:
            continue  # a child's: nothing is armed in it
        match event.kind:
            case "fault":
                points.clear()
            case "call":
                data = event.data
                points += [Point(data["step"], phase, data["nth"]) for phase in (BEFORE, AFTER)]
            case "reply" if "phase" not in event.data:
                step = event.data["step"]
                acks[step] = acks.get(step, 0) + 1
                if seen(AFTER_ACK):
                    points.append(Point(step, AFTER_ACK, acks[step]))
    if seen(WAITING):
        points += [Point(name, WAITING, waited.get(name, 0) + 1) for name in waits]
    if seen(FINALIZE):
        points.append(Point("", FINALIZE, finals + 1))
    return points
