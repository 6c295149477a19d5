"""What governs Inngest's recovery, as data for the report and as the server is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.effects import Json
from harness.runtime import Support


WORKERS = 2000
"""How many steps the server has in flight; with its default of 100, other runs would wait."""
CONNECT_LEASE_S = 120.0
"""How long a request belongs to a worker that dialled and is dead; a constant of the server."""
BACKOFF_S = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0, 7200.0)
"""How long the server waits before each retry; the last one counts for all that follow."""
RETRIES = 4
"""How often a step is repeated, unless it is told otherwise; 20 at most."""
LEASE_S = 30.0
"""How long a queue item belongs to a dead server; its scavenger looks as often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Settings of server and functions; what is ``None`` is left to the vendor."""

    settle_s: float
    retries: int | None = None
    retry_interval_s: int | None = None
    tick_ms: int | None = None

    @property
    def flags(self) -> list[str]:
        """Return the server's options."""
        chosen = {"--retry-interval": self.retry_interval_s, "--tick": self.tick_ms}
        given = [word for key, value in chosen.items() if value for word in (key, str(value))]
        return ["--queue-workers", str(WORKERS), *given]

    @property
    def attempts(self) -> int:
        """Return how often a step is repeated."""
        return RETRIES if self.retries is None else self.retries

    @property
    def budget_s(self) -> float:
        """Return for how long no worker may be there: each call that reaches none is an attempt."""
        if self.retry_interval_s:
            return float(self.retry_interval_s * self.attempts)
        beyond = max(0, self.attempts - len(BACKOFF_S))
        return sum(BACKOFF_S[: self.attempts]) + beyond * BACKOFF_S[-1]

    @property
    def governs(self) -> dict[str, Json]:
        """Return which setting decides what, by the kinds of `harness.signature.GOVERNS`."""
        return {
            "dead_worker": "retry_backoff_s",
            "unreachable": "retries_of_a_step",
            "attempts": "retries_of_a_step",
            "hang": "http_timeout_s",
            "store": "store",
        }

    def to_json(self) -> dict[str, Json]:
        """Return all of it, with the vendor's value where nothing is set.

        One counter serves errors of a step and deaths of its worker.
        """
        linear = self.retry_interval_s
        return {
            "settle_s": self.settle_s,
            "hang_timer_s": None,
            "budget_s": self.budget_s,
            "retries_of_a_step": self.attempts,
            "deaths_count_as_retries": True,
            "retry_backoff_s": linear
            or f"{', '.join(f'{wait_s:g}' for wait_s in BACKOFF_S)}; each + 0 to 30",
            "tick_ms": self.tick_ms or 150,
            "http_timeout_s": 7200.0,
            "queue_lease_s": LEASE_S,
            "queue_workers": WORKERS,
        }


PROFILES: Mapping[str, Profile] = {
    # A death costs the first wait of 15 to 45 s, a second one the next of 30 to 60 s; a server's
    # death up to two leases.
    "default": Profile(settle_s=180.0),
    # A retry within 5 s of the attempt before it is let past the limits of concurrency: README.md.
    "fast": Profile(settle_s=90.0, retries=20, retry_interval_s=5, tick_ms=20),
    # The most retries that the vendor allows: a day without a worker does not use them up.
    "safe": Profile(settle_s=180.0, retries=20),
}

NATIVE = (
    *("step", "decide", "sleep", "sleep_until", "emit", "triggers", "invoke", "wait_for"),
    *("gather", "now", "draw", "cancel", "retry", "cancel_on", "concurrency", "concurrency_key"),
    *("throttle", "rate_limit", "debounce", "batch", "priority", "dedupe"),
    *("singleton_skip", "singleton_cancel", "start_timeout", "finish_timeout", "on_failure"),
    *("idempotent_start", "cancel_previous"),
)
CAPABILITIES: Mapping[str, Support] = {
    **dict.fromkeys(NATIVE, Support.NATIVE),
    "step_timeout": Support.EMULATED,
    "signal": Support.EMULATED,
    # The server has both under the same names, and does less: see README.md.
    **dict.fromkeys(("debounce_max", "cron"), Support.MISSING),
}
