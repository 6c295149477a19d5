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
LEASE_S = 30.0
"""How long a queue item belongs to a dead server; its scavenger looks as often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Settings of server and functions; what is ``None`` is left to the vendor."""

    settle_s: float
    retries: int | None = None
    retry_interval_s: int | None = None
    tick_ms: int | None = None
    finish_s: float | None = None

    @property
    def flags(self) -> list[str]:
        """Return the server's options."""
        chosen = {"--retry-interval": self.retry_interval_s, "--tick": self.tick_ms}
        given = [word for key, value in chosen.items() if value for word in (key, str(value))]
        return ["--queue-workers", str(WORKERS), *given]

    def to_json(self) -> dict[str, Json]:
        """Return all of it, with the vendor's value where nothing is set.

        One counter serves errors of a step and deaths of its worker.
        """
        linear = self.retry_interval_s
        return {
            "settle_s": self.settle_s,
            "hang_timer_s": self.finish_s,
            "retries_of_a_step": 4 if self.retries is None else self.retries,
            "deaths_count_as_retries": True,
            "retry_backoff_s": linear or "15, 30, 60, 120, ... each + 0 to 30",
            "tick_ms": self.tick_ms or 150,
            "finish_timeout_s": self.finish_s,
            "http_timeout_s": 7200.0,
            "queue_lease_s": LEASE_S,
            "queue_workers": WORKERS,
        }


PROFILES: Mapping[str, Profile] = {
    # A death costs the first wait of 15 to 45 s, a second one the next of 30 to 60 s; a server's
    # death up to two leases.
    "default": Profile(settle_s=180.0),
    "fast": Profile(settle_s=90.0, retries=20, retry_interval_s=1, tick_ms=20),
    # A run that hangs is cancelled: the vendor's own limit for one request is two hours.
    "safe": Profile(settle_s=180.0, finish_s=240.0),
}

NATIVE = (
    *("step", "decide", "sleep", "sleep_until", "emit", "triggers", "invoke", "wait_for"),
    *("gather", "now", "draw", "cancel", "retry", "cancel_on", "concurrency", "concurrency_key"),
    *("throttle", "idempotent_start", "dedupe"),
    *("singleton_skip", "singleton_cancel", "start_timeout", "finish_timeout", "on_failure"),
    "cancel_previous",
)
CAPABILITIES: Mapping[str, Support] = {
    **dict.fromkeys(NATIVE, Support.NATIVE),
    "step_timeout": Support.EMULATED,
    "signal": Support.EMULATED,
    # The server has these under the same names, and does less: see README.md.
    **dict.fromkeys(("rate_limit", "debounce", "batch", "priority", "cron"), Support.MISSING),
}
