"""Faults of too many: what was handed over once comes again, or one name is two workers'."""

from __future__ import annotations

from harness.faults.fault import (
    ALL_STEPS,
    DIES,
    HELD,
    SURVIVES,
    Fault,
    Happening,
    Means,
    Scene,
    UnconfirmedError,
    always,
    deliver,
    pause_worker,
)
from harness.schedule import AFTER, BEFORE


TWICE_S = 3.0
"""How long the second worker has to ask for the step that the first one is at."""
ENDED_S = 15.0
LATER_S = 1.0
"""How long a run that has ended is watched after it was handed over once more."""
NAMELESS = "no worker_name in its settings: it knows none by a name, or nobody said by which"
TOGETHER_S = 1.0
"""How long two workers of one name are left to it: several heartbeats of an engine's."""
APART = (
    SURVIVES,
    DIES,
    *(
        Happening(late=True, orphan=steps, early=early)
        for steps in (0, 1, ALL_STEPS)
        for early in (False, True)
    ),
)
"""What it can mean that two workers have a run: each may do what is left, one after the other."""
BESIDE = tuple(Happening(late=True, orphan=steps, beside=True) for steps in (0, 1, ALL_STEPS))


def _double(scene: Scene) -> None:
    first = scene.worker
    scene.succeed()
    both = scene.asked_twice(TWICE_S)
    scene.report(None, first.incarnation, lives=True)
    scene.tell("both asked for it" if both else "only one of them was given the step")


def _freeze(scene: Scene) -> None:
    pause_worker(scene)
    scene.bar()


def _succeed_by_name(scene: Scene) -> None:
    first, name = scene.worker, scene.named
    scene.succeed(env={"BAKEOFF_WORKER": name})
    if not name or scene.named != name:
        msg = f"{first.incarnation} says that it is {name!r}, its successor {scene.named!r}"
        raise UnconfirmedError(msg)
    met = scene.barred(float(str(scene.settings["settle_s"])))
    first.resume()
    deliver(scene)
    scene.outlast(TOGETHER_S)
    scene.unbar()
    when = "while its successor was at work" if met else "when its successor had done what it could"
    scene.tell(f"the first of two named {name} woke {when}")


def _needs_name(means: Means) -> str | None:
    return None if means.named else NAMELESS


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
        happenings=always(*APART),
        phases=frozenset({BEFORE, AFTER}),
    ),
    Fault(
        name="namesake(worker)",
        about="The worker freezes, its successor has its name, and it wakes while that is at work.",
        inject=_freeze,
        heal=_succeed_by_name,
        happenings=always(*APART, *BESIDE),
        obstacle=_needs_name,
        phases=HELD,
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
