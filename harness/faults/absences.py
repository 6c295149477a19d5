"""Faults of absence: nobody is there, or cannot be reached, or takes long, for a while.

How long a while is follows from the runtime's own settings: longer than its budget of retries,
longer than the timer by which it tells the dead from the living.
"""

from __future__ import annotations

import re

from collections.abc import Mapping

from harness.effects import Json
from harness.faults.fault import (
    DIES,
    GRACE_S,
    HELD,
    SURVIVES,
    Fault,
    Happening,
    Means,
    Scene,
    always,
    deliver,
    kill_worker,
    needs_server,
    restart_servers,
    succeed,
)
from harness.link import Mode
from harness.schedule import AFTER, ATTACH, BEFORE


ABSENCE_S = 5.0
"""How long nobody is there where no setting says how long one may be away."""
LONGEST_S = 150.0
"""No longer budget is used up."""
MARGIN = 1.25
HOUR_S = 3600.0
TIME = re.compile(r"(\d+(?:\.\d+)?)s")


def absence(settings: Mapping[str, Json]) -> tuple[float, str]:
    """Return how long a worker stays away (seconds), and what that is measured by."""
    budget = settings.get("budget_s")
    if not isinstance(budget, int | float):
        return ABSENCE_S, "no budget limits it"
    if budget * MARGIN > LONGEST_S:
        return ABSENCE_S, f"the budget of {budget:,.0f} s is not used up"
    return max(budget * MARGIN, ABSENCE_S), f"the budget is {budget:.1f} s"


def liveness_s(settings: Mapping[str, Json]) -> float:
    """Return the longest timer by which a silent worker is told from a dead one (seconds)."""
    governs = settings.get("governs")
    named = str(governs.get("dead_worker", "")) if isinstance(governs, dict) else ""
    given = [settings.get(named), settings.get("link_timer_s")]
    numbers = [float(value) for value in given if isinstance(value, int | float)]
    texts = [float(found[1]) for value in given if (found := TIME.fullmatch(str(value)))]
    return max([*numbers, *texts], default=0.0)


def _stay_away(scene: Scene) -> None:
    kill_worker(scene)
    for_s, why = absence(scene.settings)
    gave_up = scene.abandoned(for_s)
    said = "gave it up meanwhile" if gave_up else "had not given it up by then"
    scene.tell(f"nobody was there for {for_s:.1f} s ({why}); the engine {said}")


def _burnt(settings: Mapping[str, Json]) -> tuple[Happening, ...]:
    budget = settings.get("budget_s")
    burns = isinstance(budget, int | float) and absence(settings)[0] > budget
    return (DIES, Happening(given_up=True)) if burns else (DIES,)


def _linger(scene: Scene) -> None:
    timer_s = liveness_s(scene.settings)
    for_s = max(timer_s * MARGIN, ABSENCE_S)
    scene.report(None, "", lingers_s=for_s)
    scene.outlast(for_s)
    by = f"the timer is {timer_s:g} s" if timer_s else "no timer is declared"
    scene.tell(f"its step took {for_s:.1f} s longer ({by})")


def _answer(scene: Scene) -> None:
    scene.release("reply")
    scene.until(scene.freed, "the slow step has its answer")


def _needs_our_time(means: Means) -> str | None:
    return "its providers are real, and their time is not ours to move" if means.live else None


def _age(hours: int) -> Fault:
    for_s = hours * HOUR_S

    def inject(scene: Scene) -> None:
        kill_worker(scene)
        scene.age(for_s)

    return Fault(
        name=f"age({hours}h)",
        about=f"The worker dies, and its successor comes {hours} h later, by the world's clock.",
        inject=inject,
        heal=succeed,
        happenings=always(Happening(aged_s=for_s)),
        obstacle=_needs_our_time,
        phases=HELD,
        exact=True,
    )


def _called(means: Means) -> str | None:
    return None if means.called else "its worker dials, or there is no connection: no address"


def _introduce(scene: Scene) -> None:
    scene.introduce()


def _meet(scene: Scene) -> None:
    scene.meet()


def _redeploy(scene: Scene) -> None:
    worker, links = scene.worker, scene.links
    scene.report(worker.terminate(GRACE_S), worker.incarnation)
    before = sum(link.touched for link in links)
    for link in links:
        link.set_mode(Mode.CUT)
    scene.until(lambda: sum(link.touched for link in links) > before, "the engine is refused")
    scene.tell("the engine met an address that refuses before the new worker was there")


def _succeed_elsewhere(scene: Scene) -> None:
    for link in scene.links:
        link.set_mode(Mode.PASS)
    scene.succeed()


def _wipe(scene: Scene) -> None:
    for server in scene.servers:
        scene.report(server.kill(), server.name)
    scene.empty()
    deliver(scene)


def _needs_store(means: Means) -> str | None:
    return needs_server(means) or (None if means.kept else "its store is not in our hands")


ABSENCES = (
    _age(23),
    _age(25),
    Fault(
        name="gone(worker)",
        about="SIGKILL to the worker; nobody follows for longer than the engine's retries last.",
        inject=_stay_away,
        heal=succeed,
        happenings=_burnt,
        phases=HELD,
    ),
    Fault(
        name="slow(handler)",
        about="A step takes longer than the timer of the dead, and its heartbeats go on.",
        inject=_linger,
        heal=_answer,
        happenings=always(SURVIVES),
        phases=frozenset({BEFORE, AFTER}),
        exact=True,
        guarded=False,
    ),
    Fault(
        name="refuse(worker)",
        about="The first worker's address refuses while the engine is told of it.",
        inject=_introduce,
        heal=_meet,
        happenings=always(SURVIVES),
        obstacle=_called,
        phases=frozenset({ATTACH}),
    ),
    Fault(
        name="redeploy(worker)",
        about="The worker ends, its address refuses for a while, its successor is elsewhere.",
        inject=_redeploy,
        heal=_succeed_elsewhere,
        happenings=always(SURVIVES, DIES),
        obstacle=_called,
        phases=HELD,
        everyone=True,
    ),
    Fault(
        name="wipe(store)",
        about="The engine is killed and comes back with its store as it was before the run.",
        inject=_wipe,
        heal=restart_servers,
        happenings=always(Happening(lost=True)),
        obstacle=_needs_store,
        phases=HELD,
        exact=True,
        everyone=True,
        listed=True,
        empties=True,
    ),
)
