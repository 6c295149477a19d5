"""What governs recovery on Temporal, and how its states read: data and pure functions.

Adapter, client child and worker child share this module; it imports no SDK.
"""

from __future__ import annotations

import json
import os

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.effects import Json
from harness.policy import Policy
from harness.runtime import RunView, Support
from harness.scenario import Scenario


VARIABLE = "BAKEOFF_TEMPORAL"
EVENT, GATE, ASK = "bakeoff.event", "bakeoff.gate", "bakeoff.ask"
ADMIT, HAPPENED = "bakeoff.admit", "bakeoff.happened"

NATIVE = (
    *("step", "decide", "retry", "step_timeout", "gather", "now", "draw"),
    *("sleep", "sleep_until", "invoke", "wait_for", "signal", "cancel"),
    *("idempotent_start", "finish_timeout", "cron"),
)
GATED = frozenset(
    {
        *("concurrency", "concurrency_key", "priority", "throttle", "rate_limit", "dedupe"),
        *(
            "debounce",
            "debounce_max",
            "batch",
            "singleton_skip",
            "singleton_cancel",
            "start_timeout",
        ),
        "cancel_on",
    }
)
"""What a gate does: a workflow that lets the runs of a program begin."""
EMULATIONS = GATED | {"emit", "on_failure"}
"""What a worker loads `emulated` for."""
CAPABILITIES: Mapping[str, Support] = {
    **dict.fromkeys(NATIVE, Support.NATIVE),
    **dict.fromkeys((*sorted(EMULATIONS), "triggers", "cancel_previous"), Support.EMULATED),
}
GOVERNS: Mapping[str, Json] = {
    "dead_worker": "heartbeat_s",
    "unreachable": "run_s",
    "attempts": "retry_attempts",
    "hang": "heartbeat_s",
    "store": "synchronous",
}
"""Which setting decides what, by the kinds of `harness.signature.GOVERNS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """The settings that govern recovery, in seconds.

    ``heartbeat_s`` is after how long a silent activity is given to another worker, ``task_s``
    the same for a workflow task, ``sticky_s`` how long a task waits for the worker that has the
    run in its cache.  ``throttle_s`` is the longest time between two heartbeats that leave the
    SDK.  ``retry_first_s`` and ``retry_most_s`` bound the back-off of activities,
    ``retry_attempts`` is how often one is called, 0 without limit; a death counts as an error.
    ``slack_s`` is by how much the server may fire a timer too late, to fire several at once
    (``history.timerProcessorMaxTimeShift``).  ``step_s`` ends any activity and is above every
    hold; ``run_s`` ends any run, so that no ghost stays, and 0 none.  ``synchronous`` is
    SQLite's: with 1 a power cut may lose what was recorded, with 2 not.
    """

    heartbeat_s: float
    task_s: float
    sticky_s: float
    throttle_s: float
    retry_first_s: float
    retry_most_s: float
    slack_s: float
    settle_s: float
    retry_attempts: int = 0
    step_s: float = 3600.0
    run_s: float = 0.0
    synchronous: int = 1


# The vendor has no default for heartbeat_s (an activity without one is lost until step_s):
# 30 s is what its documentation uses.  All others are defaults of server and SDK.
VENDOR = Timers(
    heartbeat_s=30.0,
    task_s=10.0,
    sticky_s=10.0,
    throttle_s=60.0,
    retry_first_s=1.0,
    retry_most_s=100.0,
    slack_s=1.0,
    settle_s=180.0,
)
PROFILES: Mapping[str, Timers] = {
    "default": VENDOR,
    "fast": Timers(
        heartbeat_s=2.0,
        task_s=2.0,
        sticky_s=1.0,
        throttle_s=1.0,
        retry_first_s=0.2,
        retry_most_s=1.0,
        slack_s=0.1,
        settle_s=90.0,
    ),
    "safe": replace(VENDOR, run_s=2 * 3600.0, synchronous=2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a child finds the server, what it prefixes its names with, and its timers."""

    target: str
    namespace: str
    prefix: str
    timers: Timers

    def environment(self) -> dict[str, str]:
        """Return what a child's environment needs so that it finds this place again."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def of_environment(cls) -> Place:
        """Return the place that the harness gave to this child."""
        data = json.loads(os.environ[VARIABLE])
        return cls(**{**data, "timers": Timers(**data["timers"])})

    def queue(self, pool: str) -> str:
        """Return the task queue of a pool: no other pool's worker polls it."""
        return f"{self.prefix}{pool}"

    def id(self, run: str) -> str:
        """Return the workflow id of a run."""
        return f"{self.prefix}{run}"

    def gate(self, pool: str, program: str) -> str:
        """Return the workflow id of the gate of a program."""
        return f"{self.prefix}{pool}.{program}.gate"


def uses(scenario: Scenario) -> frozenset[str]:
    """Return what the policies of a scenario need, and ``emit`` where a program listens."""
    listens: set[str] = {"emit"} if any(program.on for program in scenario.programs) else set()
    return frozenset(listens).union(*(program.policy.uses for program in scenario.programs))


def cancels(scenario: Scenario, event: str) -> list[str]:
    """Return the programs whose runs an event may cancel."""
    return [
        program.name
        for program in scenario.programs
        if any(rule.event == event for rule in program.policy.cancel_on)
    ]


def life_s(policy: Policy, scale: float, timers: Timers) -> float:
    """Return after how long the server ends a run, 0 for never."""
    return policy.finish_timeout_s * scale if policy.finish_timeout_s else timers.run_s


CLOSED = {
    "COMPLETED": "completed",
    "FAILED": "failed",
    "CANCELED": "cancelled",
    "TERMINATED": "cancelled",
    "TIMED_OUT": "failed",
}
STARTED = "PENDING_ACTIVITY_STATE_STARTED"
PAUSED = ("PENDING_ACTIVITY_STATE_PAUSED", "PENDING_ACTIVITY_STATE_PAUSE_REQUESTED")


def view(run: str, seen: Mapping[str, Any]) -> RunView:
    """Return what the client child saw of a run as a ``RunView``.

    ``seen`` has the engine's ``status`` and, of a running one, ``activities`` and ``task``
    (pending, as the API shows them), ``begun`` (whether any workflow task was started) and
    ``wakes`` (timers that have not fired plus children that have not ended).
    """
    engine = str(seen["status"])
    activities: Sequence[Mapping[str, Any]] = seen.get("activities", ())
    task: Mapping[str, Any] = seen.get("task") or {}
    pending = [entry for entry in (*activities, task) if entry]
    attempt = max((int(entry.get("attempt", 1)) for entry in pending), default=None)
    status = "absent" if engine == "NOT_FOUND" else CLOSED.get(engine, "unknown")
    moves = "no" if engine in CLOSED else "unknown"
    if engine == "PAUSED" or any(entry.get("state") in PAUSED for entry in activities):
        status, moves = "parked", "no"
    elif engine == "RUNNING" and pending:
        fresh = "running" if activities or seen.get("begun") else "queued"
        status, moves = ("retrying" if attempt and attempt > 1 else fresh), "yes"
    elif engine == "RUNNING":
        status, moves = "waiting", "yes" if seen.get("wakes") else "no"
    holders = [a.get("lastWorkerIdentity", "") for a in activities if a.get("state") == STARTED]
    failures = [a["lastFailure"].get("message", "") for a in activities if "lastFailure" in a]
    return RunView(
        run=run,
        status=status,
        output=seen.get("output"),
        engine_id=str(seen.get("id", "")),
        attempt=attempt,
        moves=moves,
        claim=next(iter(holders), ""),
        detail={"engine": engine, "failure": seen.get("failure") or next(iter(failures), "")},
    )


def named(event: Mapping[str, Any]) -> str:
    """Return what an event of a history is about: a step, a signal, a timer, a program."""
    attributes: Mapping[str, Any] = next(
        (value for key, value in event.items() if key.endswith("EventAttributes")), {}
    )
    for key in ("activityType", "workflowType"):
        if key in attributes:
            return str(attributes[key]["name"])
    for key in ("signalName", "markerName", "timerId"):
        if key in attributes:
            return str(attributes[key])
    return ""
