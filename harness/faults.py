"""The faults: what each breaks, when it is undone, and what it may do to a run.

``happenings`` tells the model what a fault can mean to the run that it hits.  Where it can
mean one thing only, the expectation is exact: predicted and observed violations must be
equal.  Where races decide, the observed ones must be among the predicted ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.effects import Json
from harness.process import Exit, Process, Service
from harness.program import AFTER_ACK, FINALIZE
from harness.schedule import AFTER, BEFORE, PHASES

GRACE_S = 2.0
ALL_STEPS = 1_000
HELD = frozenset({BEFORE, AFTER, AFTER_ACK, FINALIZE})


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

    worker: Process
    servers: Sequence[Service]

    def report(self, ended: Exit | None, victim: str, **more: Json) -> None: ...
    def release(self, how: str) -> None: ...
    def succeed(self) -> None: ...
    def drift(self) -> None: ...


class Fault(Protocol):
    """One way to break something.

    ``inject`` breaks and confirms; ``heal`` undoes before the runs settle; ``recovered``
    undoes after the next worker has made progress, and a second settling follows.
    ``keeps`` says that a held request outlives its caller, ``everyone`` that bystanders
    are hit too, ``hangs`` that only the runtime's own timer ends it.
    """

    name: str
    phases: frozenset[str]
    exact: bool
    keeps: bool
    everyone: bool
    hangs: bool

    def obstacle(self, servers: int) -> str | None: ...
    def happenings(self, settings: Mapping[str, Json]) -> tuple[Happening, ...]: ...
    def inject(self, scene: Scene) -> None: ...
    def heal(self, scene: Scene) -> None: ...
    def recovered(self, scene: Scene) -> None: ...


@dataclass(frozen=True, slots=True)
class KillWorker:
    """SIGKILL to the worker's group; a new worker follows."""

    name: str = "kill(worker)"
    phases: frozenset[str] = frozenset(PHASES)
    exact: bool = True
    keeps: bool = False
    everyone: bool = False
    hangs: bool = False

    def obstacle(self, servers: int) -> str | None:
        """Return why it cannot be done: never."""
        del servers

    def happenings(self, settings: Mapping[str, Json]) -> tuple[Happening, ...]:
        """The attempt is lost."""
        del settings
        return (Happening(),)

    def inject(self, scene: Scene) -> None:
        """Kill and reap."""
        scene.report(scene.worker.kill(), scene.worker.incarnation)

    def heal(self, scene: Scene) -> None:
        """Start the successor."""
        scene.succeed()

    def recovered(self, scene: Scene) -> None:
        """Nothing is left to undo."""


@dataclass(frozen=True, slots=True)
class TerminateWorker(KillWorker):
    """SIGTERM, and SIGKILL after a grace; a new worker follows."""

    name: str = "terminate(worker)"
    exact: bool = False

    def happenings(self, settings: Mapping[str, Json]) -> tuple[Happening, ...]:
        """The attempt is lost, or drained."""
        del settings
        return (Happening(dies=False), Happening())

    def inject(self, scene: Scene) -> None:
        """Terminate and reap."""
        scene.report(scene.worker.terminate(GRACE_S), scene.worker.incarnation)


@dataclass(frozen=True, slots=True)
class DriftWhileDown(KillWorker):
    """A stranger changes the world while the worker is dead."""

    name: str = "drift(world)"

    def happenings(self, settings: Mapping[str, Json]) -> tuple[Happening, ...]:
        """The attempt is lost, and the world moves on."""
        del settings
        return (Happening(drift=True),)

    def inject(self, scene: Scene) -> None:
        """Kill, reap, and write as a stranger."""
        scene.report(scene.worker.kill(), scene.worker.incarnation)
        scene.drift()


@dataclass(frozen=True, slots=True)
class LatePacket(KillWorker):
    """The worker dies, but its request arrives after its successor has recovered."""

    name: str = "late(request)"
    phases: frozenset[str] = frozenset({BEFORE})
    keeps: bool = True

    def happenings(self, settings: Mapping[str, Json]) -> tuple[Happening, ...]:
        """The attempt is lost, and its request arrives late."""
        del settings
        return (Happening(late=True),)

    def recovered(self, scene: Scene) -> None:
        """Deliver what was held."""
        scene.release("reply")


@dataclass(frozen=True, slots=True)
class PauseWorker:
    """A zombie: the worker is frozen, superseded, and wakes up."""

    name: str = "pause(worker)"
    phases: frozenset[str] = HELD
    exact: bool = False
    keeps: bool = False
    everyone: bool = False
    hangs: bool = False

    def obstacle(self, servers: int) -> str | None:
        """Return why it cannot be done: never."""
        del servers

    def happenings(self, settings: Mapping[str, Json]) -> tuple[Happening, ...]:
        """The attempt is superseded, and goes on for a while when it wakes."""
        del settings
        return (
            Happening(dies=False),
            Happening(),
            *(Happening(late=True, orphan=steps) for steps in (0, 1, ALL_STEPS)),
        )

    def inject(self, scene: Scene) -> None:
        """Freeze."""
        scene.worker.pause()
        scene.report(None, scene.worker.incarnation, paused=True)

    def heal(self, scene: Scene) -> None:
        """Start the successor beside the frozen one."""
        scene.succeed()

    def recovered(self, scene: Scene) -> None:
        """Wake it, and let its request go on."""
        scene.release("reply")


@dataclass(frozen=True, slots=True)
class KillServer:
    """SIGKILL to every server; they come back on the same ports and data."""

    name: str = "kill(server)"
    phases: frozenset[str] = frozenset(PHASES)
    exact: bool = False
    keeps: bool = False
    everyone: bool = True
    hangs: bool = False

    def obstacle(self, servers: int) -> str | None:
        """Return why it cannot be done: a library has no server, a borrowed one is not ours."""
        return None if servers else "it has no server that the harness started"

    def happenings(self, settings: Mapping[str, Json]) -> tuple[Happening, ...]:
        """The reply is kept by the worker, or lost with up to one further step."""
        del settings
        return (
            Happening(dies=False),
            Happening(),
            *(Happening(late=True, early=True, orphan=steps) for steps in (0, 1)),
        )

    def inject(self, scene: Scene) -> None:
        """Kill and reap, then let the caller, who is no victim, have its answer."""
        for server in scene.servers:
            scene.report(server.kill(), server.name)
        scene.release("reply")

    def heal(self, scene: Scene) -> None:
        """Start them again; a worker that did not survive gets a successor."""
        for server in scene.servers:
            server.restart()
        if not scene.worker.alive():
            scene.succeed()

    def recovered(self, scene: Scene) -> None:
        """Nothing is left to undo."""


@dataclass(frozen=True, slots=True)
class LoseReply:
    """The effect is applied, and the connection breaks before the reply."""

    name: str = "lose(reply)"
    phases: frozenset[str] = frozenset({AFTER})
    exact: bool = False
    keeps: bool = False
    everyone: bool = False
    hangs: bool = False

    def obstacle(self, servers: int) -> str | None:
        """Return why it cannot be done: never."""
        del servers

    def happenings(self, settings: Mapping[str, Json]) -> tuple[Happening, ...]:
        """The step is called again."""
        del settings
        return (Happening(again=True),)

    def inject(self, scene: Scene) -> None:
        """Drop the reply."""
        scene.report(None, "")
        scene.release("drop")

    def heal(self, scene: Scene) -> None:
        """Nothing is left to undo."""

    def recovered(self, scene: Scene) -> None:
        """Nothing is left to undo."""


@dataclass(frozen=True, slots=True)
class HangHandler(LoseReply):
    """The worker lives, but the handler never answers and its heartbeats stop."""

    name: str = "hang(handler)"
    phases: frozenset[str] = frozenset({BEFORE, AFTER})
    hangs: bool = True

    def happenings(self, settings: Mapping[str, Json]) -> tuple[Happening, ...]:
        """The declared timer ends it; without one, nobody does."""
        if settings.get("hang_timer_s") is None:
            return (Happening(stuck=True),)
        return (Happening(again=True),)

    def inject(self, scene: Scene) -> None:
        """Tell the handler to hang."""
        scene.report(None, "", hung=True)
        scene.release("hang")


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        KillWorker(),
        TerminateWorker(),
        KillServer(),
        PauseWorker(),
        LatePacket(),
        DriftWhileDown(),
        LoseReply(),
        HangHandler(),
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


