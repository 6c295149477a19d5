"""The faults: what each breaks, when it is undone, and what it may do to a run.

``happenings`` tells the model what a fault can mean to the run that it hits.  Where it can
mean one thing only, the expectation is exact: predicted and observed violations must be
equal.  Where races decide, the observed ones must be among the predicted ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.effects import Json
from harness.process import Exit, Process, Service
from harness.program import AFTER_ACK, FINALIZE
from harness.schedule import AFTER, BEFORE, PHASES


GRACE_S = 2.0
ALL_STEPS = 1_000


class FaultError(Exception):
    """No such fault; the message lists those there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What a fault can mean to the run that it hits.

    ``dies``: the attempt in flight is lost.  ``again``: it is repeated in place, by the
    same worker.  ``orphan``: how many further steps the lost attempt still carries out,
    ``early`` (before its successor) or late (after it).  ``late``: the held request itself
    still arrives.  ``stuck``: nobody notices.
    """

    dies: bool = True
    again: bool = False
    late: bool = False
    early: bool = False
    orphan: int = 0
    drift: bool = False
    stuck: bool = False


class Scene(Protocol):
    """What a fault can touch: only what the trial started."""

    @property
    def worker(self) -> Process: ...
    @property
    def servers(self) -> Sequence[Service]: ...

    def report(self, ended: Exit | None, victim: str, **more: Json) -> None: ...
    def release(self, how: str) -> None: ...
    def succeed(self) -> None: ...
    def drift(self) -> None: ...


Act = Callable[[Scene], None]


def nothing(scene: Scene) -> None:
    """Leave things as they are."""
    del scene


def succeed(scene: Scene) -> None:
    """Start the worker's successor."""
    scene.succeed()


def deliver(scene: Scene) -> None:
    """Let the held requests go on."""
    scene.release("reply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to break something.

    ``inject`` breaks and confirms; ``heal`` undoes before the runs settle; ``recovered``
    undoes after the next worker has made progress, and a second settling follows.

    ``exact``: it can mean one thing only.  ``keeps``: a held request outlives its caller.
    ``everyone``: bystanders are hit too.  ``hangs``: only the runtime's own timer ends it.
    ``servers``: it needs a server that the harness started.
    """

    name: str
    about: str
    inject: Act
    heal: Act = nothing
    recovered: Act = nothing
    happenings: Callable[[Mapping[str, Json]], tuple[Happening, ...]]
    phases: frozenset[str] = frozenset(PHASES)
    exact: bool = False
    keeps: bool = False
    everyone: bool = False
    hangs: bool = False
    servers: bool = False

    def obstacle(self, servers: int) -> str | None:
        """Return why it cannot be done to a backend with so many servers, if so."""
        if self.servers and not servers:
            return "it has no server that the harness started"
        return None


def _kill_worker(scene: Scene) -> None:
    scene.report(scene.worker.kill(), scene.worker.incarnation)


def _terminate_worker(scene: Scene) -> None:
    scene.report(scene.worker.terminate(GRACE_S), scene.worker.incarnation)


def _kill_and_drift(scene: Scene) -> None:
    _kill_worker(scene)
    scene.drift()


def _pause_worker(scene: Scene) -> None:
    scene.worker.pause()
    scene.report(None, scene.worker.incarnation, paused=True)


def _kill_servers(scene: Scene) -> None:
    for server in scene.servers:
        scene.report(server.kill(), server.name)
    # The caller is no victim: it has its answer before the server is back.  Later would
    # be a late packet.
    scene.release("reply")


def _restart_servers(scene: Scene) -> None:
    for server in scene.servers:
        server.restart()
    if not scene.worker.alive():
        scene.succeed()


def _lose_reply(scene: Scene) -> None:
    scene.report(None, "")
    scene.release("drop")


def _hang_handler(scene: Scene) -> None:
    scene.report(None, "", hung=True)
    scene.release("hang")


def _hung(settings: Mapping[str, Json]) -> tuple[Happening, ...]:
    timer = settings.get("hang_timer_s")
    return (Happening(stuck=True),) if timer is None else (Happening(again=True),)


def always(*happenings: Happening) -> Callable[[Mapping[str, Json]], tuple[Happening, ...]]:
    """Return happenings that no setting changes."""
    return lambda _: happenings


SURVIVES, DIES = Happening(dies=False), Happening()

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            name="kill(worker)",
            about="SIGKILL to the worker's group; a new worker follows.",
            inject=_kill_worker,
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
            inject=_kill_servers,
            heal=_restart_servers,
            happenings=always(
                SURVIVES,
                DIES,
                *(Happening(late=True, early=True, orphan=steps) for steps in (0, 1)),
            ),
            everyone=True,
            servers=True,
        ),
        Fault(
            name="pause(worker)",
            about="A zombie: the worker is frozen, superseded, and wakes up.",
            inject=_pause_worker,
            heal=succeed,
            recovered=deliver,
            happenings=always(
                SURVIVES,
                DIES,
                *(Happening(late=True, orphan=steps) for steps in (0, 1, ALL_STEPS)),
            ),
            phases=frozenset({BEFORE, AFTER, AFTER_ACK, FINALIZE}),
        ),
        Fault(
            name="late(request)",
            about="The worker dies, but its request arrives after its successor recovered.",
            inject=_kill_worker,
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
        ),
        Fault(
            name="hang(handler)",
            about="The worker lives, but the handler never answers and its heartbeats stop.",
            inject=_hang_handler,
            happenings=_hung,
            phases=frozenset({BEFORE, AFTER}),
            hangs=True,
        ),
    )
}


def fault(name: str) -> Fault:
    """Return the fault of that name.

    Raises:
        FaultError: there is none.

    """
    if name not in FAULTS:
        msg = f"unknown fault {name!r}; known: {', '.join(FAULTS)}"
        raise FaultError(msg)
    return FAULTS[name]
