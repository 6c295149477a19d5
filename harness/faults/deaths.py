"""Faults of processes: what dies, freezes or hangs, and who comes after it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.effects import Json
from harness.faults.fault import (
    ALL_STEPS,
    DIES,
    GRACE_S,
    HELD,
    LINGERS,
    SURVIVES,
    Act,
    Fault,
    Happening,
    Means,
    Scene,
    always,
    deliver,
    kill_servers,
    kill_worker,
    needs_server,
    pause_worker,
    restart_servers,
    restarted,
    succeed,
)
from harness.schedule import AFTER, BEFORE


def _terminate_worker(scene: Scene) -> None:
    scene.report(scene.worker.terminate(GRACE_S), scene.worker.incarnation)


def _kill_and_drift(scene: Scene) -> None:
    kill_worker(scene)
    scene.drift()


def _kill_databases(scene: Scene) -> None:
    for database in scene.databases:
        scene.report(database.kill(), database.name)
    scene.release("reply")


def _restart_databases(scene: Scene) -> None:
    for database in scene.databases:
        database.restart()
    for server in scene.servers:
        if not server.alive():  # it did not outlive its database
            server.restart()


def _needs_database(means: Means) -> str | None:
    return None if means.databases else "its state is in the server's process or in a file"


def _kill_part(part: str) -> Act:
    def inject(scene: Scene) -> None:
        scene.maim(part)
        scene.release("reply")

    return inject


def _part(part: str, about: str) -> Fault:
    def obstacle(means: Means) -> str | None:
        return None if part in means.parts else f"its worker has no process of its own as {part}"

    late = (Happening(late=True, orphan=steps) for steps in (0, 1, ALL_STEPS))
    return Fault(
        name=f"kill({part})",
        about=about,
        inject=_kill_part(part),
        heal=succeed,
        happenings=always(SURVIVES, DIES, *LINGERS, *late),
        obstacle=obstacle,
        phases=HELD,
    )


def _roll(scene: Scene) -> None:
    old = scene.worker
    scene.succeed()
    scene.report(old.terminate(GRACE_S), old.incarnation)


def _lose_reply(scene: Scene) -> None:
    scene.report(None, "")
    scene.release("drop")


def _hang_handler(scene: Scene) -> None:
    scene.report(None, "", hung=True)
    scene.release("hang")


def _hung(settings: Mapping[str, Json]) -> tuple[Happening, ...]:
    timer = settings.get("hang_timer_s")
    return (Happening(stuck=True),) if timer is None else (Happening(again=True),)


DEATHS = (
    Fault(
        name="kill(worker)",
        about="SIGKILL to the worker's group; a new worker follows.",
        inject=kill_worker,
        heal=succeed,
        happenings=always(DIES),
        exact=True,
    ),
    Fault(
        name="terminate(worker)",
        about="SIGTERM, and SIGKILL after a grace; a new worker follows.",
        inject=_terminate_worker,
        heal=succeed,
        happenings=always(SURVIVES, DIES),
    ),
    Fault(
        name="kill(server)",
        about="SIGKILL to every server; they come back on the same ports and data.",
        inject=kill_servers,
        heal=restart_servers,
        happenings=restarted,
        obstacle=needs_server,
        everyone=True,
        listed=True,
    ),
    Fault(
        name="kill(database)",
        about="SIGKILL to the engine's database; it comes back on the same data.",
        inject=_kill_databases,
        heal=_restart_databases,
        happenings=always(SURVIVES, DIES, *LINGERS),
        obstacle=_needs_database,
        everyone=True,
        listed=True,
    ),
    _part("parent", "SIGKILL to the worker's first process only; a new worker follows."),
    _part("listener", "SIGKILL to the process that fetches the worker's work; a new one follows."),
    Fault(
        name="pause(worker)",
        about="A zombie: the worker is frozen, superseded, and wakes up.",
        inject=pause_worker,
        heal=succeed,
        recovered=deliver,
        happenings=always(
            SURVIVES,
            DIES,
            *(Happening(late=True, orphan=steps) for steps in (0, 1, ALL_STEPS)),
        ),
        phases=HELD,
    ),
    Fault(
        name="roll(workers)",
        about="A rolling restart: the new worker is attached before SIGTERM ends the old one.",
        inject=_roll,
        happenings=always(SURVIVES, DIES),
        phases=HELD,
    ),
    Fault(
        name="late(request)",
        about="The worker dies, but its request arrives after its successor recovered.",
        inject=kill_worker,
        heal=succeed,
        recovered=deliver,
        happenings=always(Happening(late=True)),
        phases=frozenset({BEFORE}),
        exact=True,
        keeps=True,
    ),
    Fault(
        name="drift(world)",
        about="A stranger changes the world while the worker is dead.",
        inject=_kill_and_drift,
        heal=succeed,
        happenings=always(Happening(drift=True)),
        exact=True,
    ),
    Fault(
        name="lose(reply)",
        about="The effect is applied, and the connection breaks before the reply.",
        inject=_lose_reply,
        happenings=always(Happening(again=True)),
        phases=frozenset({AFTER}),
        guarded=False,
    ),
    Fault(
        name="hang(handler)",
        about="The worker lives, but the handler never answers and its heartbeats stop.",
        inject=_hang_handler,
        happenings=_hung,
        phases=frozenset({BEFORE, AFTER}),
        timer="hang_timer_s",
        guarded=False,
    ),
)
