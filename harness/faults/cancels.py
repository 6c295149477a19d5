"""Somebody wants the run to stop: its canceller, or who holds the tokens that it acts by.

A request to cancel may come at any moment, and race with the run's completion.  A token that has
ended is nobody's race: what was begun before ends, and nothing else begins.
"""

from __future__ import annotations

from harness.faults.fault import HELD, SURVIVES, Fault, Happening, Means, Scene, always


def _cancel(scene: Scene) -> None:
    scene.cancel()
    scene.release("reply")


def _needs_cancel(means: Means) -> str | None:
    return None if means.cancels else "it cannot cancel a run"


def _revoke(scene: Scene) -> None:
    scene.revoke()
    scene.release("reply")


def _needs_guard(means: Means) -> str | None:
    return None if means.guarded else "nobody can revoke: no gateway stands before the world"


CANCELS = (
    Fault(
        name="revoke(token)",
        about="The run's token is revoked; what is in flight ends, and nothing else may begin.",
        inject=_revoke,
        happenings=always(Happening(dies=False, revoked=True)),
        obstacle=_needs_guard,
        phases=HELD,
        exact=True,
    ),
    Fault(
        name="cancel(run)",
        about="The run is cancelled; what is in flight ends, and nothing else may begin.",
        inject=_cancel,
        # Whether it was completed already is a race, and so is whether the next step was on its
        # way when the cancellation was taken: nobody but an effect log promises that it was not.
        happenings=always(
            SURVIVES,
            Happening(refused="cancelled"),
            Happening(refused="cancelled", late=True, orphan=1),
        ),
        obstacle=_needs_cancel,
        listed=True,
    ),
)
