"""Faults of a gateway: it dies, its log is damaged or gone, its disk is full, its human is late.

Its log is one for all runs, so that a trial in which that is broken has one run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.deadline import Deadline
from harness.faults.fault import Fault, Happening, Means, Scene, always
from harness.guardian import Guardian, Kept
from harness.program import AFTER_ACK
from harness.schedule import AFTER, BEFORE, WAITING


READY_S = 30.0
LOST = Happening(dies=False, again=True)
"""The call that was out is asked for once more."""


def _guardian(scene: Scene) -> Guardian:
    assert scene.guardian  # noqa: S101 - the obstacle looked
    return scene.guardian


def _kill(scene: Scene) -> None:
    service = _guardian(scene).service
    scene.report(service.kill(), service.name)
    # What it had sent falls with it: released before that is seen, it would be a late packet.
    scene.until(scene.freed, "the world drops what the gateway had asked for")


def _restart(scene: Scene) -> None:
    service = _guardian(scene).service
    service.restart()
    service.ready(Deadline.after(READY_S))


def _needs_gateway(means: Means) -> str | None:
    return None if means.guarded else "no gateway stands before the world"


def _log(name: str, about: str, spoil: Callable[[Kept], str], happening: Happening) -> Fault:
    def inject(scene: Scene) -> None:
        _kill(scene)
        scene.tell(spoil(_guardian(scene).kept))

    return Fault(
        name=f"{name}(log)",
        about=about,
        inject=inject,
        heal=_restart,
        happenings=always(happening),
        obstacle=_needs_gateway,
        phases=frozenset({BEFORE, AFTER}),
        exact=True,
        alone=True,
    )


def _fill(scene: Scene) -> None:
    kept = _guardian(scene).kept
    kept.fill()
    before = kept.unwritten()
    scene.report(None, _guardian(scene).service.name, full=True)
    scene.release("reply")
    scene.until(
        lambda: kept.unwritten() > before or scene.ended(0.0), "the log has no room for a record"
    )


def _empty(scene: Scene) -> None:
    kept = _guardian(scene).kept
    # Said first: what begins after it may have found room.
    scene.tell(f"the log had no room for {kept.unwritten()} records until now")
    kept.empty()


def _forestall(scene: Scene) -> None:
    scene.forestall()


def _needs_question(means: Means) -> str | None:
    return None if means.asks else "no gateway asks a human anything"


GATEWAYS = (
    Fault(
        name="kill(gateway)",
        about="SIGKILL to the gateway, with its calls on their way; it comes back on its log.",
        inject=_kill,
        heal=_restart,
        happenings=always(LOST),
        obstacle=_needs_gateway,
        phases=frozenset({BEFORE, AFTER}),
        exact=True,
        everyone=True,
    ),
    _log(
        "tear",
        "SIGKILL to the gateway; half of a record that nobody was told of ends its log.",
        lambda kept: kept.tear(),
        LOST,
    ),
    _log(
        "cut",
        "SIGKILL to the gateway; half of its last record, which it acknowledged, is gone.",
        lambda kept: kept.cut(),
        replace(LOST, damaged=True),
    ),
    _log(
        "flip",
        "SIGKILL to the gateway; a bit of its last record, which it acknowledged, is another.",
        lambda kept: kept.flip(),
        replace(LOST, damaged=True),
    ),
    _log(
        "wipe",
        "SIGKILL to the gateway; it comes back with its log as it was before the run.",
        lambda kept: kept.wipe(),
        replace(LOST, wiped=True),
    ),
    Fault(
        name="drift(approval)",
        about="A stranger changes the world when a human was asked, and before he says yes.",
        inject=_forestall,
        happenings=always(Happening(dies=False, drift=True)),
        obstacle=_needs_question,
        phases=frozenset({WAITING}),
        exact=True,
    ),
    Fault(
        name="full(disk)",
        about="The kernel refuses each byte by which the gateway's log would grow, for a while.",
        inject=_fill,
        heal=_empty,
        # Where nothing is out, what comes next is refused until there is room.
        happenings=always(LOST),
        obstacle=_needs_gateway,
        phases=frozenset({AFTER, AFTER_ACK}),
        exact=True,
        alone=True,
    ),
)
