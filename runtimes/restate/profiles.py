"""The settings that govern Restate's recovery: as data for the report, and as it reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.effects import Json
from harness.process import Address


STREAMS = 4096
"""How many runs a worker's connection admits; with hypercorn's 100, others would wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """``service`` is what the worker declares, ``server`` is the server's environment."""

    settle_s: float
    hang_timer_s: float
    link_timer_s: float
    service: Mapping[str, Json] = field(default_factory=dict)
    server: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Return all of it, with the vendor's value where nothing is set."""
        mine: dict[str, Json] = {**VENDOR, **self.service, **COMMON, **self.server}
        return {
            **mine,
            "settle_s": self.settle_s,
            "hang_timer_s": self.hang_timer_s,
            "link_timer_s": self.link_timer_s,
            "budget_s": budget_s(mine),
            "governs": {**GOVERNS},
            "http2_streams": STREAMS,
            "worker_name": None,  # the server knows an address, and whoever serves there
        }


def budget_s(settings: Mapping[str, Json]) -> float | None:
    """Return how long a run is called again without an answer before it is paused.

    ``None`` is for ever.
    """
    attempts = str(settings[ATTEMPTS])
    if attempts == "unlimited":
        return None
    first, factor, most = (
        float(str(settings[f"retry_{name}"]))
        for name in ("initial_interval_s", "factor", "max_interval_s")
    )
    return sum(min(first * factor**nth, most) for nth in range(int(attempts) - 1))


ATTEMPTS = "RESTATE_DEFAULT_RETRY_POLICY__MAX_ATTEMPTS"
GOVERNS: Mapping[str, Json] = {
    "dead_worker": "RESTATE_WORKER__INVOKER__HTTP2_KEEP_ALIVE_INTERVAL",
    "unreachable": "retry_max_interval_s",
    "attempts": ATTEMPTS,
    "hang": "abort_timeout_s",
    "store": "RESTATE_LOG_SERVER__ROCKSDB_DISABLE_WAL_FSYNC",
}
"""Which setting decides what, by the kinds of `harness.signature.GOVERNS`."""
VENDOR: Mapping[str, Json] = {
    "retry_initial_interval_s": 0.5,
    "retry_max_interval_s": 60.0,
    "retry_factor": 2.0,
    "inactivity_timeout_s": 60.0,
    "abort_timeout_s": 600.0,
    ATTEMPTS: "70",
    "RESTATE_DEFAULT_RETRY_POLICY__ON_MAX_ATTEMPTS": "pause",
    "RESTATE_WORKER__INVOKER__HTTP2_KEEP_ALIVE_INTERVAL": "40s",
    "RESTATE_WORKER__INVOKER__HTTP2_KEEP_ALIVE_TIMEOUT": "20s",
    "RESTATE_LOG_SERVER__ROCKSDB_DISABLE_WAL_FSYNC": "false",
}
# Not recovery: one partition and a small cache start sooner and fit a small machine.
COMMON = {
    "RESTATE_DEFAULT_NUM_PARTITIONS": "1",
    "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "128 MB",
}
PROFILES: Mapping[str, Profile] = {
    # A run whose worker was away for 20 s has been seen to go on after 39 s; a silent peer is
    # noticed after 60 s with a jitter of 20 %.
    "default": Profile(settle_s=150.0, hang_timer_s=660.0, link_timer_s=72.0),
    "fast": Profile(
        settle_s=60.0,
        hang_timer_s=30.0,
        link_timer_s=13.2,
        service={
            "retry_initial_interval_s": 0.1,
            "retry_max_interval_s": 0.4,
            "inactivity_timeout_s": 15.0,
            "abort_timeout_s": 15.0,
        },
        # A timeout of 3 s convicts a live worker that replays 400 runs on a busy machine of two
        # cores: a second attempt of a step, with no fault at all, has been seen.
        server={
            "RESTATE_WORKER__INVOKER__HTTP2_KEEP_ALIVE_INTERVAL": "1s",
            "RESTATE_WORKER__INVOKER__HTTP2_KEEP_ALIVE_TIMEOUT": "10s",
        },
    ),
    # With the vendor's 70 attempts a run whose worker is away for an hour is parked for good.
    "safe": Profile(
        settle_s=150.0,
        hang_timer_s=660.0,
        link_timer_s=72.0,
        server={
            ATTEMPTS: "unlimited",
            "RESTATE_LOG_SERVER__ROCKSDB_DISABLE_WAL_FSYNC": "false",
        },
    ),
}


def environment(profile: str, ports: Sequence[Address]) -> dict[str, str]:
    """Return the server's environment; ``ports`` are those of node, admin and ingress."""
    node, admin, ingress = ports
    return {
        "RESTATE_BIND_IP": node.host,
        "RESTATE_BIND_PORT": str(node.port),
        "RESTATE_ADMIN__BIND_PORT": str(admin.port),
        "RESTATE_INGRESS__BIND_PORT": str(ingress.port),
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_NODE_NAME": "bakeoff",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_ADMIN__DISABLE_WEB_UI": "true",
        **COMMON,
        **PROFILES[profile].server,
    }
