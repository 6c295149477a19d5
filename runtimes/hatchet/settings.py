"""What governs recovery on Hatchet, and how its states read: data and pure functions.

Adapter, client child and worker child share this module; it imports no SDK.
"""

from __future__ import annotations

import json
import math
import os

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.effects import Json
from harness.policy import PRIMITIVES, Policy
from harness.program import AFTER_ACK, FINALIZE
from harness.runtime import RunView, Support, Witness


VARIABLE = "BAKEOFF_HATCHET"
OWN = "bakeoff."
"""How the names of our own tasks begin."""
STEP, RECORD, EMIT = f"{OWN}step", f"{OWN}record", f"{OWN}emit"
BODY = "body"
"""The task of a workflow that plays the program."""
TICK = "hatchet__cron_scheduled_at"
"""Where the server says for which moment it started a run."""
SILENCE_S = 30.0
"""After so long without a heartbeat a worker's tasks are given to another: a constant of the
server, which no setting changes."""


DEATHS = 10
"""How often the server gives a task of a worker that has died to another: its own default."""
DEAD_LINK_S = 70.0
"""After so long without an answer the SDK gives a connection up: its keepalive, 10 s and 60 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """The settings that govern recovery, in seconds.

    ``step_timeout_s`` ends an attempt of a step (``execution_timeout``); a step that waits for
    the world moves it ``refresh_s`` further each ``refresh_s``, so only one that hangs meets it.
    ``retries`` is how often a failed attempt is repeated, after ``backoff_factor ** n`` seconds
    and at most ``backoff_max_s`` (at once without a factor).  ``olap_poll_s`` is how long the
    server's REST views may lag behind.  ``run_timeout_s`` and ``schedule_timeout_s`` are above
    every hold.
    """

    step_timeout_s: int
    refresh_s: int
    retries: int
    backoff_factor: float | None
    backoff_max_s: int
    olap_poll_s: int
    settle_s: float
    run_timeout_s: int = 24 * 3600
    schedule_timeout_s: int = 24 * 3600


PROFILES: Mapping[str, Timers] = {
    # The vendor's own retries are 0 (a lost reply would end the step), its schedule_timeout is
    # 5 min and its execution_timeout 60 s also for a durable task: too short for a held run.
    "default": Timers(
        step_timeout_s=60,
        refresh_s=20,
        retries=20,
        backoff_factor=2.0,
        backoff_max_s=60,
        olap_poll_s=2,
        settle_s=180.0,
    ),
    "fast": Timers(
        step_timeout_s=20,
        refresh_s=5,
        retries=1000,
        backoff_factor=None,
        backoff_max_s=1,
        olap_poll_s=1,
        settle_s=120.0,
    ),
    "safe": Timers(
        step_timeout_s=600,
        refresh_s=60,
        retries=1000,
        backoff_factor=2.0,
        backoff_max_s=60,
        olap_poll_s=2,
        settle_s=240.0,
    ),
}

WITNESS = {
    "before_effect": Witness.WORLD,
    "after_effect": Witness.WORLD,
    AFTER_ACK: Witness.WORKER,
    FINALIZE: Witness.WORKER,
    "waiting": Witness.JOURNAL,
}
GOVERNS: Mapping[str, Json] = {
    "dead_worker": "silence_s",
    "unreachable": "schedule_timeout_s",
    "attempts": "deaths",
    "hang": "step_timeout_s",
    "store": "postgres",
}
"""Which setting decides what may befall a run (`harness.signature`)."""
EMULATED = ("cancel_on", "cancel_previous")
ABSENT = ("signal", "rate_limit", "debounce", "debounce_max", "batch", "start_timeout")
CAPABILITIES = {
    **dict.fromkeys(("decide", *PRIMITIVES), Support.NATIVE),
    **dict.fromkeys(EMULATED, Support.EMULATED),
    **dict.fromkeys(ABSENT, Support.MISSING),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the server is, as one child sees it: ``grpc`` and ``rest`` are addresses."""

    grpc: str
    rest: str
    token: str
    tenant: str
    timers: Timers
    since: str
    """Before the first run of this backend, as an ISO time."""

    def environment(self, pool: str = "") -> dict[str, str]:
        """Return the environment of a child: ours, and what the SDK itself reads."""
        return {
            VARIABLE: json.dumps(asdict(self)),
            "HATCHET_CLIENT_TOKEN": self.token,
            "HATCHET_CLIENT_HOST_PORT": self.grpc,
            "HATCHET_CLIENT_SERVER_URL": self.rest,
            "HATCHET_CLIENT_TLS_STRATEGY": "none",
            "HATCHET_CLIENT_NAMESPACE": pool,
        }

    @classmethod
    def of_environment(cls) -> Place:
        """Return what ``environment`` put there."""
        data = json.loads(os.environ[VARIABLE])
        return cls(**{**data, "timers": Timers(**data["timers"])})


def named(pool: str, name: str) -> str:
    """Return a workflow's or event's name as the server knows it: the SDK's namespace first."""
    return f"{pool}_{name}" if pool else name


def whole_s(duration_s: float) -> int:
    """Return whole seconds, at least one: the server knows no shorter timer."""
    return max(1, math.ceil(duration_s))


ENDED = {
    "COMPLETED": "completed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}
NOT_FOUND = "NOT_FOUND"
"""What stands for a run that the engine says it does not have."""


def view(run: str, seen: Mapping[str, Any]) -> RunView:
    """Return what the client child saw of a run as a ``RunView``.

    ``seen`` has ``core`` (what the engine itself says) and ``olap`` (what its REST list says, up
    to ``olap_poll_s`` later); of a run that goes on also ``waits``, what the entries of its
    durable log that nothing has satisfied yet are about, ``evicted``, whether its task was taken
    off its worker, and ``stalled``, whether it was and the server does not know (`stalls`).
    """
    engine = str(seen["core"])
    waits: Sequence[str] = seen.get("waits", ())
    attempt = seen.get("attempt")
    status = "absent" if engine == NOT_FOUND else ENDED.get(engine, "unknown")
    moves = "no" if engine in ENDED else "unknown"
    if engine == "QUEUED":
        status, moves = ("retrying" if attempt and attempt > 1 else "queued"), "unknown"
    elif engine == "RUNNING":
        idle = waits and not any(f"_{OWN}" in name for name in waits)
        status = "waiting" if idle else "running"
        moves = "yes" if status == "waiting" else "unknown"
        # Off its worker, a run is woken by what it waits for and by nothing else.
        if seen.get("stalled") or (seen.get("evicted") and not waits):
            moves = "no"
    return RunView(
        run=run,
        status=status,
        output=seen.get("output"),
        engine_id=str(seen.get("id", "")),
        attempt=attempt,
        moves=moves,
        detail={
            "engine": engine,
            "olap": str(seen.get("olap", "")),
            "evicted": bool(seen.get("evicted")),
            "stalled": bool(seen.get("stalled")),
            "failure": str(seen.get("failure", "")),
        },
    )


WINDOWS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400}


def rounded(period_s: float) -> str:
    """Return the shortest window that the server offers and that is not below ``period_s``."""
    fits = (name for name, length_s in WINDOWS.items() if length_s >= period_s)
    return next(fits, "WEEK")


def start(envelope: Mapping[str, Json], arg: Json, since: str) -> dict[str, Json]:
    """Return the input of a run; ``since`` is when the events that it may wait for begin.

    ``keys`` has the fields of ``arg`` as texts, because the server's expressions cannot make a
    text of a number.
    """
    fields = arg.items() if isinstance(arg, dict) else ()
    keys: dict[str, Json] = {name: json.dumps(value, sort_keys=True) for name, value in fields}
    return {"envelope": dict(envelope), "arg": arg, "keys": keys, "since": since}


def precedence(policy: Policy, arg: Json) -> int | None:
    """Return the priority of a run, of the three that the server knows; ``None`` for its own."""
    if not policy.priority or not isinstance(arg, dict):
        return None
    return min(3, max(1, int(str(arg[policy.priority]))))
