"""The common interface: small enough to read in one sitting.

``Runtime`` is stateless and says what a system is and promises.  Everything that runs
lives in a ``Backend``, which a context manager owns.  No SDK is imported by either: client
and worker sides of an engine are child processes.

A *pool* is a set of workers that share work.  Each trial has a pool of its own, and its
bystanders another, so that a run of an earlier trial can never be taken for one of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from harness.effects import Guard, Json
from harness.process import Process, Service, Site, WorkerSpec


class RuntimeUnavailableError(Exception):
    """A runtime cannot run here: why, and the command that would change it.

    It is *not measured*; that never counts as a pass or a failure.
    """


class Dial(StrEnum):
    """Who opens the connection between engine and worker."""

    WORKER = "worker"
    SERVER = "server"
    NONE = "none"


class Guarantee(StrEnum):
    """What a runtime promises of a step that was in flight when its worker died."""

    RESTART = "restart"
    """Nothing is kept: the run begins again."""
    MEMO = "memo"
    """Completed steps are kept, the one in flight is called again."""
    AT_LEAST_ONCE = "at_least_once"
    """As memo; and a step that completed but was not yet stored may be called again."""
    EFFECT_ONCE = "effect_once"
    """No irreversible effect twice: what is in doubt is resolved or escalated.

    Behind a gateway it plans anew where a premise does not hold.
    """


class Kind(StrEnum):
    """What stands in a column."""

    SERVER = "real server"
    LIBRARY = "library"
    CONTROL = "control"


class Witness(StrEnum):
    """Who can say that a phase was reached."""

    WORLD = "world"
    WORKER = "worker"
    JOURNAL = "journal"
    NONE = "none"


class Support(StrEnum):
    """How a capability is met."""

    NATIVE = "native"
    EMULATED = "emulated"
    MISSING = "missing"


TERMINAL = frozenset({"completed", "failed", "cancelled", "dead", "escalated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What travels in every input, so that a leftover is never taken for this trial's.

    ``armed`` names the points at which the worker calls ``at`` (``STEP/after_ack``,
    ``finalize``); ``time_scale`` is real seconds per virtual second.
    """

    trial: str
    pool: str
    cell: str
    run: str
    parent: str = ""
    armed: tuple[str, ...] = ()
    guard: Guard = Guard.NONE
    time_scale: float = 1e-4

    def to_json(self) -> dict[str, Json]:
        """Return the envelope as a JSON object."""
        return {**asdict(self), "armed": list(self.armed), "guard": str(self.guard)}

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Envelope:
        """Read what ``to_json`` wrote."""
        fields: dict[str, Any] = dict(data)
        fields["armed"] = tuple(fields["armed"])
        fields["guard"] = Guard(fields["guard"])
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One run to be submitted; idempotent in ``envelope.run``."""

    envelope: Envelope
    program: str
    arg: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """What a runtime says of a run.

    ``status`` is one of queued, running, retrying, waiting, parked, escalated, completed,
    failed, cancelled, dead, absent (it was asked, and has no such run), unknown (it could not
    be asked, or its answer has no meaning here).  ``moves`` says whether the runtime will go on by
    itself (yes, no, unknown).  ``claim`` is the worker that holds the run, if any.
    """

    run: str
    status: str
    output: Json = None
    engine_id: str = ""
    attempt: int | None = None
    moves: str = "unknown"
    claim: str = ""
    detail: Mapping[str, Json] = field(default_factory=dict)

    @property
    def terminal(self) -> bool:
        """Say whether the run has ended."""
        return self.status in TERMINAL

    @property
    def listed(self) -> bool:
        """Say whether the runtime has such a run."""
        return self.status not in {"absent", "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """A line of the runtime's own record of a run, as its API shows it."""

    run: str
    name: str
    kind: str
    detail: Mapping[str, Json] = field(default_factory=dict)


class Backend(Protocol):
    """One started runtime.

    ``servers`` is the killable control plane (empty for libraries).  Calls take batches:
    a sweep submits and watches hundreds of runs.
    """

    servers: Sequence[Service]

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker of ``pool`` for the scenario of that reference."""
        ...

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Register a started worker: it takes over the pool's runs."""
        ...

    def submit(self, starts: Sequence[Start]) -> None:
        """Start runs; a run that exists already is left alone."""
        ...

    def send_event(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Deliver an event to the run of the envelope."""
        ...

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Stop runs that are left over; no error where one has ended."""
        ...

    def inspect(self, pool: str, runs: Sequence[str]) -> Sequence[RunView]:
        """Return one view for each run, in order; status ``unknown`` where it has none."""
        ...

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Return the runtime's own record of a run."""
        ...


@runtime_checkable
class Publisher(Protocol):
    """A backend that takes events from outside, as the engine's users send them."""

    def publish(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Start every program of the scenario that has the event in ``on``.

        The envelope is that of nobody's run: it gives trial, pool, cell and time scale, and the
        first part of the ids (``child_envelope(envelope, "EVENT.KEY.PROGRAM")``).  The event
        also reaches each run of the pool whose policy cancels on it.  Events of one key are one
        event: sent twice, they start each program once.
        """
        ...


@runtime_checkable
class Stored(Protocol):
    """A backend whose engine keeps its data in servers of their own; also among ``servers``."""

    databases: Sequence[Service]


@runtime_checkable
class Parted(Protocol):
    """A runtime whose worker has several processes, which it announces in ``parts``."""

    parts: Sequence[str]


class Runtime(Protocol):
    """A system under test: what it is, what it promises, how it is started."""

    name: str
    kind: Kind
    dial: Dial
    guarantee: Guarantee
    witness: Mapping[str, Witness]
    capabilities: Mapping[str, Support]
    profiles: Sequence[str]
    batch: int
    """How many runs one worker can hold at once."""

    def version(self) -> str:
        """Return the version that would run, of server and SDK."""
        ...

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return the settings that govern recovery.

        Three of them are read by the harness: ``settle_s``, how long recovery may take,
        ``hang_timer_s``, after which a handler that never answers is noticed (or ``None``), and,
        if there is one, ``link_timer_s``, after which a silent connection is.  The conformance
        suite reads ``idle_s``, for how many seconds a runtime may be silent while it has work
        and nobody has died; without it, half of ``settle_s``.  ``worker_name`` says what it calls
        its workers' names, if they have any that a worker takes from `harness.worker.worker_name`
        and announces as ``worker``; ``worker_name_governs`` what hangs on one.
        """
        ...

    def start(self, site: Site, profile: str) -> AbstractContextManager[Backend]:
        """Start the runtime.

        Raises:
            RuntimeUnavailableError: it cannot run here.

        """
        ...
