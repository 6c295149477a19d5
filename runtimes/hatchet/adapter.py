"""Hatchet: a server with a log for each durable task, and workers that it sends tasks to."""

from __future__ import annotations

import os
import sys

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from harness.effects import Json
from harness.engines import Found
from harness.observer import Observer
from harness.process import Address, Site
from harness.rpc import Rpc, RpcError
from harness.runtime import Dial, Guarantee, Kind, RuntimeUnavailableError, Support, Witness
from runtimes.hatchet.backend import HatchetBackend
from runtimes.hatchet.launch import Started, started
from runtimes.hatchet.observer import observing
from runtimes.hatchet.server import ENGINE
from runtimes.hatchet.settings import (
    CAPABILITIES,
    DEAD_LINK_S,
    DEATHS,
    GOVERNS,
    PROFILES,
    SILENCE_S,
    WITNESS,
    Place,
)
from runtimes.hatchet.tenant import tenant_of
from runtimes.support.present import present


READY_S = 60.0
TOKEN_VARIABLE, REST_VARIABLE = "BAKEOFF_HATCHET_TOKEN", "BAKEOFF_HATCHET_REST"
MARGIN = timedelta(hours=1)
"""By how much the clocks of this machine and of the server may differ."""


@dataclass(frozen=True, slots=True)
class Hatchet:
    """The Hatchet server, its PostgreSQL and its Python SDK.

    ``module`` is the worker's; ``scenarios`` are those that it can run, ``None`` for all.
    """

    name: str = "hatchet"
    module: str = "runtimes.hatchet.worker"
    scenarios: Sequence[str] | None = None
    kind: Kind = Kind.SERVER
    dial: Dial = Dial.WORKER
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE
    witness: Mapping[str, Witness] = field(default_factory=lambda: WITNESS)
    capabilities: Mapping[str, Support] = field(default_factory=lambda: CAPABILITIES)
    profiles: Sequence[str] = tuple(PROFILES)
    parts: Sequence[str] = ("parent", "listener")
    batch: int = 400

    def version(self) -> str:
        """Return the versions of server and SDK."""
        found, sdk = present(ENGINE, "hatchet-sdk")
        return f"hatchet {found.version or f'at {found.address}'}, hatchet-sdk {sdk}"

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return the timers; ``silence_s`` and ``deaths`` are the server's own."""
        timers = PROFILES[profile]
        return {
            **asdict(timers),
            "hang_timer_s": timers.step_timeout_s,
            "budget_s": min(timers.schedule_timeout_s, timers.run_timeout_s),
            "governs": {**GOVERNS},
            "link_timer_s": DEAD_LINK_S,
            "silence_s": SILENCE_S,
            "deaths": DEATHS,
            "heartbeat_s": 4,
            "eviction_policy": None,
            "postgres": "fsync on",
        }

    @contextmanager
    def start(self, site: Site, profile: str) -> Iterator[HatchetBackend]:
        """Start a server of our own on PostgreSQL, or use the deployment that runs already."""
        found, _ = present(ENGINE, "hatchet-sdk")
        with ExitStack() as stack:
            if found.owned:
                up = stack.enter_context(started(site, found, PROFILES[profile]))
            else:
                up = _deployment(site, found)
            place = Place(
                grpc=str(up.reach("hatchet-client")),
                rest=f"http://{up.rest}",
                token=up.token,
                tenant=tenant_of(up.token),
                timers=PROFILES[profile],
                since=(datetime.now(UTC) - MARGIN).isoformat(),
            )
            argv = [sys.executable, "-m", "runtimes.hatchet.client"]
            log = site.state_dir("hatchet") / "client.log"
            environment = {**os.environ, **site.environment, **place.environment()}
            rpc = stack.enter_context(Rpc(argv, log, environment))
            try:
                rpc.call("ping", READY_S)
            except RpcError as error:
                msg = f"hatchet does not answer: {error}; see {ENGINE.env_address}"
                raise RuntimeUnavailableError(msg) from error
            yield HatchetBackend(
                servers=up.servers,
                databases=up.databases,
                rpc=rpc,
                place=place,
                reach=up.reach,
                stalled=up.stalled,
                module=self.module,
            )

    def observe(self) -> AbstractContextManager[Observer]:
        """Look at the deployment that the environment names."""
        return observing()


def _deployment(site: Site, found: Found) -> Started:
    """Return the ways to a deployment that runs already (plain gRPC); nothing of it is ours."""
    upstream = found.address
    assert upstream is not None  # noqa: S101 - not owned: it has one
    given = {name: os.environ.get(name, "") for name in (TOKEN_VARIABLE, REST_VARIABLE)}
    missing = [name for name, value in given.items() if not value]
    if missing:
        msg = f"hatchet at {upstream}: set {' and '.join(missing)} (a token; host:port of its API)"
        raise RuntimeUnavailableError(msg)
    host, _, port = given[REST_VARIABLE].rpartition(":")

    def reach(name: str) -> Address:
        link = site.link(name)
        link.point_at(upstream)
        return link.address

    return Started(
        servers=(),
        databases=(),
        reach=reach,
        rest=Address(host, int(port)),
        token=given[TOKEN_VARIABLE],
    )


RUNTIME = Hatchet()
