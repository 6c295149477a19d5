"""Faults of the path between an engine and its worker; the way to the world stays open.

Each is confirmed by what the link kept from passing after the held requests went on: what the
worker then reports has met the broken path.  A cut one is confirmed before that too; on the
others nothing may be on its way while everybody waits.
"""

from __future__ import annotations

from harness.faults.fault import (
    DIES,
    HELD,
    LINGERS,
    SURVIVES,
    Act,
    Fault,
    Means,
    Scene,
    UnconfirmedError,
    always,
    nothing,
)
from harness.link import Mode


DELAY_S = 0.1


def _needs_link(means: Means) -> str | None:
    return None if means.linked else "no connection leads from its workers to a server"


def _impair(mode: Mode, delay_s: float = 0.0) -> Act:
    def inject(scene: Scene) -> None:
        links = scene.links
        if not links:
            msg = "the runtime asked the site for no link between engine and worker"
            raise UnconfirmedError(msg)

        def touched() -> int:
            return sum(link.touched for link in links)

        before = touched()
        for link in links:
            link.set_mode(mode, delay_s)
        if mode is Mode.CUT:
            scene.until(lambda: touched() > before, f"the link does {mode} to something")
        now = touched()
        names = ", ".join(link.name for link in links)
        scene.report(None, names, mode=str(mode), touched=now - before)
        scene.release("reply")
        scene.until(
            lambda: touched() > now and scene.freed(),
            f"the link does {mode} to something after the answers",
        )
        scene.tell(f"after the answers the link did {mode} to {touched() - now}")

    return inject


def _pass(scene: Scene) -> None:
    for link in scene.links:
        link.set_mode(Mode.PASS)


def _link(name: str, about: str, inject: Act, heal: Act = _pass) -> Fault:
    return Fault(
        name=f"{name}(link)",
        about=about,
        inject=inject,
        heal=heal,
        happenings=always(SURVIVES, DIES, *LINGERS),
        obstacle=_needs_link,
        phases=HELD,
        everyone=True,
        timer="link_timer_s",
    )


LINKS = (
    _link(
        "cut",
        "Connections between engine and worker are reset, and refused until healed.",
        _impair(Mode.CUT),
    ),
    _link(
        "black_hole",
        "Connections between engine and worker stay open, and no byte passes.",
        _impair(Mode.BLACK_HOLE),
    ),
    _link(
        "half_open",
        "Between engine and worker requests pass, and replies are lost.",
        _impair(Mode.HALF_OPEN),
    ),
    # The trial's end lets it pass again: the runs settle over the slow link.
    _link(
        "slow",
        f"Between engine and worker everything takes {DELAY_S:g} s longer, to the end.",
        _impair(Mode.SLOW, DELAY_S),
        nothing,
    ),
)
