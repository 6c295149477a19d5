"""Faults of too many: what was handed over once comes again, and nobody has died."""

from __future__ import annotations

from harness.faults.fault import (
    ALL_STEPS,
    DIES,
    HELD,
    SURVIVES,
    Fault,
    Happening,
    Scene,
    always,
    deliver,
)
from harness.schedule import AFTER, BEFORE


TWICE_S = 3.0
"""How long the second worker has to ask for the step that the first one is at."""
ENDED_S = 15.0
LATER_S = 1.0
"""How long a run that has ended is watched after it was handed over once more."""


def _double(scene: Scene) -> None:
    first = scene.worker
    scene.succeed()
    both = scene.asked_twice(TWICE_S)
    scene.report(None, first.incarnation, lives=True)
    scene.tell("both asked for it" if both else "only one of them was given the step")


def _repeat(scene: Scene) -> None:
    scene.repeat()
    scene.report(None, "")
    scene.release("reply")


def _repeat_after_the_end(scene: Scene) -> None:
    if scene.ended(ENDED_S):
        scene.repeat()
        scene.outlast(LATER_S)
        scene.tell("it was handed over three times, the last time after its end")


REPEATS = (
    Fault(
        name="double(worker)",
        about="A second worker takes over while the first lives: both may be at the same step.",
        inject=_double,
        heal=deliver,
        happenings=always(
            SURVIVES,
            DIES,
            *(
                Happening(late=True, early=early, orphan=steps)
                for steps in (0, 1, ALL_STEPS)
                for early in (False, True)
            ),
        ),
        phases=frozenset({BEFORE, AFTER}),
    ),
    Fault(
        name="repeat(start)",
        about="The run is handed to the runtime again, while it is at work and after its end.",
        inject=_repeat,
        heal=_repeat_after_the_end,
        happenings=always(SURVIVES),
        phases=HELD,
        exact=True,
        listed=True,
    ),
)
