"""What a program asks of the engine around its body: when runs start, wait, end and retry.

Each field is one *primitive* that engines offer under some name of their own.  A field is in
`Policy` because the conformance suite has a check for it; a runtime that cannot honour it says
``missing`` in its capabilities, and a cell that needs it is skipped with that reason.

Times are in the scenario's seconds: a worker multiplies them by `Scenario.time_scale`.  A *key*
is the name of a field of the run's ``arg`` (an object): runs with the same value share one
limit.  Policies hold for every start of the program: by `submit`, by an event, by `invoke`.  A
run that never runs because of one is ``cancelled``, or ``unknown`` where the runtime has no word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.effects import Json


UNBOUND_S = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How an error of a step (its reply was lost) is met.

    ``attempts`` in all.  Whether the death of a worker is one of them, is none, or begins the
    count anew is the engine's own: many have one counter for errors and deaths.  The conformance
    suite records which it is.  The n-th wait is ``first_s * factor ** (n - 1)``, at most ``max_s``.
    A step whose attempts are used up answers ``failed``: data, no exception.
    """

    attempts: int
    first_s: float = 1.0
    factor: float = 2.0
    max_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """At most ``limit`` runs (of a key) are at work at once; the others wait, and none is lost.

    Whether a run keeps its place between two steps is the engine's own choice; the conformance
    suite records which it is.
    """

    limit: int
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """At most ``limit`` runs start per period; the others start later, and none is lost."""

    limit: int
    period_s: float
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most ``limit`` runs start per period; the others never run."""

    limit: int
    period_s: float
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Debounce:
    """One run, the last one asked for, once nothing came for ``period_s``.

    However long more keeps coming, it starts ``max_s`` after the first at the latest; that
    bound is a primitive of its own, `debounce_max`, which some engines lack.
    """

    period_s: float
    max_s: float = UNBOUND_S
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One run for several starts; its arg is ``{"batch": [arg, ...]}``, its id the first's.

    It starts when ``size`` are there, or ``wait_s`` after the first.
    """

    size: int
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A condition on one field of an event's payload."""

    field: str
    op: Literal["==", "!=", "<", ">"]
    value: Json

    def met(self, payload: Mapping[str, Json]) -> bool:
        """Say whether a payload meets it; what cannot be compared does not."""
        seen, wanted = payload.get(self.field), self.value
        if self.op in {"==", "!="}:
            return (seen == wanted) is (self.op == "==")
        texts = isinstance(seen, str) and isinstance(wanted, str)
        numbers = isinstance(seen, int | float) and isinstance(wanted, int | float)
        if not (texts or numbers):
            return False
        return bool(seen < wanted if self.op == "<" else seen > wanted)  # type: ignore[operator]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOn:
    """An event that cancels the runs whose ``arg[match]`` equals the payload's ``match``.

    With ``where``, only an event whose payload also meets that condition.
    """

    event: str
    match: str
    where: Where | None = None

    def hits(self, event: str, payload: Json, arg: Json) -> bool:
        """Say whether an event cancels a run that was started with ``arg``."""
        if event != self.event or not isinstance(payload, dict) or not isinstance(arg, dict):
            return False
        if self.match not in payload or self.match not in arg:
            return False
        same = payload[self.match] == arg[self.match]
        return same and (self.where is None or self.where.met(payload))


@dataclass(frozen=True, slots=True, kw_only=True)
class Singleton:
    """One run of a key at a time: a second start is skipped, or cancels the one in progress."""

    key: str
    mode: Literal["skip", "cancel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dedupe:
    """Within ``period_s`` of a start, further starts with the same key never run."""

    key: str
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that a program asks of the engine beside carrying out its body.

    ``priority`` names the field of ``arg`` with an int: of the runs that wait for a place, the
    highest goes first.  ``start_timeout_s`` ends a run that nobody began, ``finish_timeout_s``
    one that did not end, both as ``cancelled`` or ``failed``.  ``on_failure`` names the program
    that is started with ``{"run": ..., "error": ...}`` once a run has failed for good, as the
    child ``on_failure`` of that run.  ``cron`` is a six-field expression, seconds first, in real
    time (UTC); such runs get the arg ``{"tick": n}``, an ``n`` for each tick, and the pool's
    name for trial and cell.
    """

    retry: Retry | None = None
    step_timeout_s: float | None = None
    start_timeout_s: float | None = None
    finish_timeout_s: float | None = None
    concurrency: Concurrency | None = None
    throttle: Throttle | None = None
    rate_limit: RateLimit | None = None
    debounce: Debounce | None = None
    batch: Batch | None = None
    cancel_on: tuple[CancelOn, ...] = ()
    singleton: Singleton | None = None
    dedupe: Dedupe | None = None
    priority: str = ""
    on_failure: str = ""
    cron: str = ""

    @property
    def uses(self) -> frozenset[str]:
        """Return the primitives that this policy needs, by the names of `PRIMITIVES`."""
        needs = {
            "retry": self.retry,
            "step_timeout": self.step_timeout_s,
            "start_timeout": self.start_timeout_s,
            "finish_timeout": self.finish_timeout_s,
            "concurrency": self.concurrency and not self.concurrency.key,
            "concurrency_key": self.concurrency and self.concurrency.key,
            "throttle": self.throttle,
            "rate_limit": self.rate_limit,
            "debounce": self.debounce,
            "debounce_max": self.debounce and self.debounce.max_s < UNBOUND_S,
            "batch": self.batch,
            "cancel_on": self.cancel_on,
            "singleton_skip": self.singleton and self.singleton.mode == "skip",
            "singleton_cancel": self.singleton and self.singleton.mode == "cancel",
            "dedupe": self.dedupe,
            "priority": self.priority,
            "on_failure": self.on_failure,
            "cron": self.cron,
        }
        return frozenset(name for name, asked in needs.items() if asked)


PRIMITIVES: tuple[str, ...] = (
    "step",
    "retry",
    "step_timeout",
    "gather",
    "now",
    "draw",
    "sleep",
    "sleep_until",
    "emit",
    "triggers",
    "invoke",
    "wait_for",
    "signal",
    "cancel",
    "cancel_on",
    "cancel_previous",
    "concurrency",
    "concurrency_key",
    "throttle",
    "rate_limit",
    "debounce",
    "debounce_max",
    "batch",
    "priority",
    "singleton_skip",
    "singleton_cancel",
    "idempotent_start",
    "dedupe",
    "start_timeout",
    "finish_timeout",
    "on_failure",
    "cron",
)
"""Every primitive that the conformance suite has a check for, in the order of its table."""
