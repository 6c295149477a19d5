"""What a fault is: how it breaks, when it is undone, what it needs, what it may mean.

``happenings`` tells the model what a fault can mean to the run that it hits.  Where it can
mean one thing only, the expectation is exact: predicted and observed violations must be
equal.  Where races decide, the observed ones must be among the predicted ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.effects import Json
from harness.guardian import Guardian
from harness.link import Mode
from harness.process import Exit, Process, Service
from harness.program import AFTER_ACK, FINALIZE
from harness.schedule import AFTER, BEFORE, PHASES


GRACE_S = 5.0
"""Hosts of workers give their open connections 3 s: that is no refusal to stop."""
ALL_STEPS = 1_000
HELD = frozenset({BEFORE, AFTER, AFTER_ACK, FINALIZE})
"""The phases at which a request is held: all but a wait."""


class FaultError(Exception):
    """No such fault; the message lists those there are."""


class UnconfirmedError(Exception):
    """It cannot be shown that the fault came as planned: then nothing can be concluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What a fault can mean to the run that it hits.

    ``dies``: the attempt in flight is lost.  ``again``: it is repeated in place, by the same
    worker.  ``orphan``: how many further steps the lost attempt still carries out, ``early``
    (before its successor), late (after it) or ``beside`` it, while the next call of that one is
    on its way.  ``late``: the held request itself still arrives.  ``stuck``: nobody notices.
    ``rewound``: the runtime forgets all that it recorded.  ``version``: the next attempt runs
    that version of the program.  ``refused``: the status in which a runtime leaves the run
    because the version does not fit; with ``again`` it repeats the call in flight first, with
    ``orphan`` a step may be on its way.  ``given_up``: the runtime gives the run up, as if its
    own code had failed.  ``lost``: it does not know the run any more.  ``aged_s``: so many
    virtual seconds pass before its next attempt.  ``revoked``: who guards it lets it begin
    nothing more.  ``damaged``: who guards it cannot believe what it knew of it.  ``wiped``: who
    guards it does not know what it has done.
    """

    dies: bool = True
    again: bool = False
    late: bool = False
    early: bool = False
    beside: bool = False
    orphan: int = 0
    drift: bool = False
    stuck: bool = False
    rewound: bool = False
    version: str = ""
    refused: str = ""
    given_up: bool = False
    lost: bool = False
    aged_s: float = 0.0
    revoked: bool = False
    damaged: bool = False
    wiped: bool = False


class Breakable(Protocol):
    """A link whose bytes can be kept from passing; ``touched`` counts what was."""

    @property
    def name(self) -> str: ...
    @property
    def touched(self) -> int: ...
    def set_mode(self, mode: Mode, delay_s: float = 0.0) -> None: ...


class Scene(Protocol):
    """What a fault can touch: only what the trial started."""

    @property
    def worker(self) -> Process: ...
    @property
    def servers(self) -> Sequence[Service]: ...
    @property
    def databases(self) -> Sequence[Service]: ...
    @property
    def links(self) -> Sequence[Breakable]: ...
    @property
    def ahead_s(self) -> float:
        """Return how far the clock of the newest worker is ahead of the harness's (seconds)."""
        ...

    @property
    def settings(self) -> Mapping[str, Json]:
        """Return the runtime's settings that govern recovery."""
        ...

    def report(self, ended: Exit | None, victim: str, **more: Json) -> None: ...
    def maim(self, part: str) -> None: ...
    def release(self, how: str) -> None: ...
    def freed(self) -> bool: ...
    @property
    def guardian(self) -> Guardian | None:
        """Return what stands between the workers and the world, if anything does."""
        ...

    @property
    def named(self) -> str:
        """Return by which name its engine knows the newest worker, if by any."""
        ...

    def succeed(self, version: str = "", env: Mapping[str, str] | None = None) -> None: ...
    def bar(self) -> None: ...
    def barred(self, most_s: float) -> bool: ...
    def unbar(self) -> None: ...
    def drift(self) -> None: ...
    def forestall(self) -> None: ...
    def cancel(self) -> None: ...
    def age(self, for_s: float) -> None: ...
    def revoke(self) -> None: ...
    def repeat(self) -> None: ...
    def ended(self, most_s: float) -> bool: ...
    def asked_twice(self, most_s: float) -> bool: ...
    def queue(self) -> None: ...
    def rewind(self) -> None: ...
    def empty(self) -> None: ...
    def abandoned(self, most_s: float) -> bool: ...
    def outlast(self, for_s: float) -> None: ...
    def introduce(self) -> None: ...
    def meet(self) -> None: ...
    def tell(self, text: str) -> None: ...
    def until(self, predicate: Callable[[], bool], reason: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a started runtime and a case give a fault to act on.

    ``linked``: there is a link between engine and worker.  ``parts``: the processes that a
    worker has.  ``kept``: the engine's store is in our hands.  ``cancels``: it can cancel a run.
    ``called``: it is the engine that dials the workers.  ``guarded``: a gateway stands before the
    world.  ``live``: some providers are real.  ``asks``: it asks a human.  ``named``: the engine
    knows its workers by names.
    """

    servers: Sequence[Service] = ()
    databases: Sequence[Service] = ()
    linked: bool = False
    parts: Collection[str] = ()
    kept: bool = False
    versions: Collection[str] = ()
    cancels: bool = False
    called: bool = False
    guarded: bool = False
    live: bool = False
    asks: bool = False
    named: bool = False


Act = Callable[[Scene], None]
Happenings = Callable[[Mapping[str, Json]], tuple[Happening, ...]]


def nothing(scene: Scene) -> None:
    """Leave things as they are."""
    del scene


def succeed(scene: Scene) -> None:
    """Start the worker's successor."""
    scene.succeed()


def deliver(scene: Scene) -> None:
    """Let the held requests go on."""
    scene.release("reply")


def possible(means: Means) -> str | None:
    """Need nothing."""
    del means
    return None


def needs_server(means: Means) -> str | None:
    """Need a server."""
    return None if means.servers else "it has no server that the harness started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to break something.

    ``inject`` breaks and confirms; ``heal`` undoes before the runs settle; ``recovered``
    undoes after the next worker has made progress, and a second settling follows.
    ``obstacle`` returns why it cannot be done with what there is, if so.

    ``exact``: it can mean one thing only.  ``keeps``: a held request outlives its caller.
    ``everyone``: bystanders are hit too.  ``listed``: the runtime must list the run before it
    comes, as it may do some time after it took it.  ``timer``: the setting (seconds) after
    which the runtime notices it by itself, added to how long settling may take.  ``queues``:
    further runs are submitted for it.  ``copies``: it needs an early copy of the store,
    ``empties``: one from before any run.  ``guarded``: what it means behind a gateway is modelled.
    ``alone``: a trial of it has one run.
    """

    name: str
    about: str
    inject: Act
    heal: Act = nothing
    recovered: Act = nothing
    happenings: Happenings
    obstacle: Callable[[Means], str | None] = possible
    phases: frozenset[str] = frozenset(PHASES)
    exact: bool = False
    keeps: bool = False
    everyone: bool = False
    listed: bool = False
    timer: str = ""
    queues: bool = False
    copies: bool = False
    empties: bool = False
    guarded: bool = True
    alone: bool = False


def always(*happenings: Happening) -> Happenings:
    """Return happenings that no setting changes."""
    return lambda _: happenings


SURVIVES, DIES = Happening(dies=False), Happening()
LINGERS = tuple(Happening(late=True, early=True, orphan=steps) for steps in (0, 1))
"""The attempt was given up, but its worker lives: it comes to its end before its successor."""


def restarted(settings: Mapping[str, Json]) -> tuple[Happening, ...]:
    """Return what a killed server can mean; one with its runs in its memory forgets them."""
    lost = (Happening(lost=True),) if settings.get("volatile") is True else ()
    return (SURVIVES, DIES, *LINGERS, *lost)


def kill_worker(scene: Scene) -> None:
    """Kill the whole group of the worker."""
    scene.report(scene.worker.kill(), scene.worker.incarnation)


def pause_worker(scene: Scene) -> None:
    """Freeze the worker where it stands."""
    scene.worker.pause()
    scene.report(None, scene.worker.incarnation, paused=True)


def kill_servers(scene: Scene) -> None:
    """Kill every server, and let what is held go on."""
    for server in scene.servers:
        scene.report(server.kill(), server.name)
    # The caller is no victim: it has its answer before the server is back.  Later would
    # be a late packet.
    scene.release("reply")


def restart_servers(scene: Scene) -> None:
    """Start the servers again, and a worker if none is left."""
    for server in scene.servers:
        server.restart()
    if not scene.worker.alive():
        scene.succeed()
