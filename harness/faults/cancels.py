"""A request to cancel, which may come at any moment, and race with the run's completion."""

from __future__ import annotations

from harness.faults.fault import SURVIVES, Fault, Happening, Means, Scene, always


def _cancel(scene: Scene) -> None:
    scene.cancel()
    scene.release("reply")


def _needs_cancel(means: Means) -> str | None:
    return None if means.cancels else "it cannot cancel a run"


CANCELS = (
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
