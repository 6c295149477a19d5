"""Temporal: a server with a history for each run, and workers that poll it."""

from __future__ import annotations

import os
import sys
import uuid

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace

from harness.deadline import Deadline
from harness.effects import Json
from harness.observer import Observer
from harness.process import Service, Site
from harness.program import AFTER_ACK, FINALIZE
from harness.rpc import Rpc, RpcError
from harness.runtime import (
    Dial,
    Guarantee,
    Kind,
    RuntimeUnavailableError,
    Support,
    Witness,
)
from runtimes.support.present import present
from runtimes.temporal.backend import TemporalBackend
from runtimes.temporal.launch import pragmas, server
from runtimes.temporal.observer import observing
from runtimes.temporal.server import ENGINE
from runtimes.temporal.settings import CAPABILITIES, GOVERNS, PROFILES, Place


WITNESS = {
    "before_effect": Witness.WORLD,
    "after_effect": Witness.WORLD,
    AFTER_ACK: Witness.WORKER,
    FINALIZE: Witness.WORKER,
    "waiting": Witness.JOURNAL,
}
NAMESPACE_VARIABLE = "BAKEOFF_TEMPORAL_NAMESPACE"
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Temporal:
    """The Temporal server and its Python SDK.

    ``module`` is the worker's; ``scenarios`` are those that it can run, ``None`` for all.
    """

    name: str = "temporal"
    module: str = "runtimes.temporal.worker"
    scenarios: Sequence[str] | None = None
    kind: Kind = Kind.SERVER
    dial: Dial = Dial.WORKER
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE
    witness: Mapping[str, Witness] = field(default_factory=lambda: WITNESS)
    capabilities: Mapping[str, Support] = field(default_factory=lambda: CAPABILITIES)
    profiles: Sequence[str] = tuple(PROFILES)
    batch: int = 400

    def version(self) -> str:
        """Return the versions of server and SDK."""
        found, sdk = present(ENGINE, "temporalio")
        server = found.version or f"server at {found.address}"
        return f"temporal {server}, temporalio {sdk}"

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return the timers; a hanging handler is noticed by its missing heartbeat."""
        timers = PROFILES[profile]
        return {
            **asdict(timers),
            "hang_timer_s": timers.heartbeat_s,
            "budget_s": timers.run_s or None,
            "attempts_count": "errors, timeouts and deaths",
            "worker_name": "identity",
            "worker_name_governs": "nothing",
            "governs": {**GOVERNS},
            "sqlite": [*pragmas(timers)],
        }

    @contextmanager
    def start(self, site: Site, profile: str) -> Iterator[TemporalBackend]:
        """Start a server of our own on SQLite, or use the deployment that runs already."""
        found, _ = present(ENGINE, "temporalio")
        address = found.address or site.reserve()
        link = site.link("temporal")
        link.point_at(address)
        place = Place(
            target=str(address),
            namespace=os.environ.get(NAMESPACE_VARIABLE, "default"),
            # A deployment that is not ours may remember the runs of an earlier sweep.
            prefix="" if found.owned else f"bakeoff-{uuid.uuid4().hex[:8]}-",
            timers=PROFILES[profile],
        )
        argv = [sys.executable, "-m", "runtimes.temporal.client"]
        log = site.state_dir("temporal") / "client.log"
        servers: list[Service] = []
        with ExitStack() as stack:
            # The child imports its SDK while the server boots.
            rpc = Rpc(argv, log, {**os.environ, **site.environment, **place.environment()})
            stack.enter_context(rpc)
            if found.owned:
                servers = [stack.enter_context(server(site, found, address, PROFILES[profile]))]
                # A kill before the schema is there would leave a file that never works.
                servers[0].ready(Deadline.after(READY_S))
            try:
                rpc.call("ping", READY_S)
            except RpcError as error:
                msg = f"temporal at {address} does not answer: {error}; see {ENGINE.env_address}"
                raise RuntimeUnavailableError(msg) from error
            outside = replace(place, target=str(link.address))
            backend = TemporalBackend(servers, rpc, outside, self.module)
            if not found.owned:
                stack.callback(backend.leave)
            yield backend

    def observe(self) -> AbstractContextManager[Observer]:
        """Look at the deployment that the environment names."""
        return observing()


RUNTIME = Temporal()
