"""Faults of what an engine has stored: a long queue, an older copy, a newer server."""

from __future__ import annotations

import os

from pathlib import Path

from harness.faults.fault import (
    DIES,
    HELD,
    LINGERS,
    SURVIVES,
    Fault,
    Happening,
    Means,
    Scene,
    always,
    kill_servers,
    kill_worker,
    restart_servers,
    restarted,
)
from harness.process import Service, Upgradable
from harness.program import FINALIZE


def _kill_with_backlog(scene: Scene) -> None:
    kill_worker(scene)
    scene.queue()
    for server in scene.servers:
        scene.report(server.kill(), server.name)


def _kill_and_rewind(scene: Scene) -> None:
    kill_worker(scene)
    for server in scene.servers:
        scene.report(server.kill(), server.name)
    scene.rewind()


def _needs_store(means: Means) -> str | None:
    return None if means.kept else "its store is not in the harness's hands"


def _next(server: Service) -> Path | None:
    """Return the binary that follows on the server's own, if the environment names one."""
    named = os.environ.get(f"BAKEOFF_{server.name.upper()}_BIN_NEXT")
    return Path(named) if named else None


def _needs_next(means: Means) -> str | None:
    if not means.servers:
        return "it has no server that the harness started"
    if any(_next(server) and isinstance(server, Upgradable) for server in means.servers):
        return None
    names = ", ".join(f"BAKEOFF_{server.name.upper()}_BIN_NEXT" for server in means.servers)
    return f"there is no newer server; name its binary by {names}"


def _upgrade(scene: Scene) -> None:
    kill_servers(scene)
    for server in scene.servers:
        binary = _next(server)
        if binary and isinstance(server, Upgradable):
            server.upgrade(binary)


STORES = (
    Fault(
        name="restart(backlog)",
        about="The engine is killed with a long queue of runs; none may be lost or come twice.",
        inject=_kill_with_backlog,
        heal=restart_servers,
        happenings=restarted,
        phases=frozenset({FINALIZE}),
        everyone=True,
        listed=True,
        queues=True,
    ),
    Fault(
        name="rewind(store)",
        about="The engine is killed and comes back with a copy of its store from the first step.",
        inject=_kill_and_rewind,
        heal=restart_servers,
        happenings=always(Happening(rewound=True), SURVIVES, DIES, *LINGERS),
        obstacle=_needs_store,
        phases=HELD,
        everyone=True,
        listed=True,
        copies=True,
    ),
    Fault(
        name="upgrade(server)",
        about="The server is killed and comes back as a newer one; it stays that for the rest.",
        inject=_upgrade,
        heal=restart_servers,
        happenings=restarted,
        obstacle=_needs_next,
        everyone=True,
        listed=True,
    ),
)
