"""Inngest: a server that calls functions over HTTP, or is dialled by them over Connect."""

from __future__ import annotations

import os

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

import httpx

from harness.effects import Json
from harness.engines import Found
from harness.observer import Observer
from harness.process import Address, Site
from harness.program import AFTER_ACK, FINALIZE
from harness.runtime import Dial, Guarantee, Kind, RuntimeUnavailableError, Support, Witness
from runtimes.inngest.api import PATIENCE_S, Api
from runtimes.inngest.backend import InngestBackend
from runtimes.inngest.observer import observing
from runtimes.inngest.server import ENGINE
from runtimes.inngest.settings import CAPABILITIES, CONNECT_LEASE_S, PROFILES
from runtimes.inngest.stores import Keys, Started, Store, started
from runtimes.support.confine import Place
from runtimes.support.present import present


CLIENTS = 16
GATEWAY_PORT = 8289
WITNESS = {
    "before_effect": Witness.WORLD,
    "after_effect": Witness.WORLD,
    AFTER_ACK: Witness.WORKER,
    FINALIZE: Witness.WORKER,
    "waiting": Witness.JOURNAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inngest:
    """One edition of the Inngest server, with its Python SDK.

    ``store`` is None for a deployment that somebody else runs; ``module`` is the worker's;
    ``scenarios`` are those that it can run, ``None`` for all.
    """

    name: str
    store: Store | None
    module: str = "runtimes.inngest.worker"
    scenarios: Sequence[str] | None = None
    dial: Dial = Dial.SERVER
    kind: Kind = Kind.SERVER
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE
    batch: int = 400
    profiles: Sequence[str] = tuple(PROFILES)
    witness: Mapping[str, Witness] = field(default_factory=lambda: WITNESS)
    capabilities: Mapping[str, Support] = field(default_factory=lambda: CAPABILITIES)

    def version(self) -> str:
        """Return the versions of the server and of the SDK."""
        found, sdk = self._found()
        return f"inngest {found.version or f'at {found.address}'}, inngest-py {sdk}"

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return what governs recovery."""
        governs = PROFILES[profile].governs
        if self.store in {Store.MEMORY, Store.SQLITE}:
            # What nothing moves any more has lost its jobs with a server.
            governs["dead_worker"] = "store"
        chosen: dict[str, Json] = {
            **PROFILES[profile].to_json(),
            "store": str(self.store or "unknown"),
            "volatile": self.store is Store.MEMORY,
            "governs": governs,
        }
        if self.dial is Dial.WORKER:
            governs["dead_worker"] = "connect_request_lease_s"
            chosen["settle_s"] = PROFILES[profile].settle_s + CONNECT_LEASE_S
            chosen |= {"connect_request_lease_s": CONNECT_LEASE_S, "http_timeout_s": None}
        return chosen

    @contextmanager
    def start(self, site: Site, profile: str) -> Iterator[InngestBackend]:
        """Start the server with its databases, or use the deployment that the environment names."""
        found, _ = self._found()
        chosen = PROFILES[profile]
        with ExitStack() as stack:
            if found.path and self.store:
                server = stack.enter_context(started(site, found.path, self.store, chosen))
            else:
                server = _deployment(site, found)
            place, threads = server.place, ThreadPoolExecutor(CLIENTS, "inngest")
            http = httpx.Client(
                base_url=f"http://{place.expose('inngest-api', server.api).address}",
                headers=server.keys.headers,
                timeout=PATIENCE_S,
                trust_env=False,
            )
            yield InngestBackend(
                place=place,
                profile=chosen,
                module=self.module,
                api=Api(stack.enter_context(http), server.keys, server.revive),
                threads=stack.enter_context(threads),
                interface=server.api,
                gateway=server.gateway if self.dial is Dial.WORKER else None,
                servers=server.servers,
                databases=server.databases,
            )

    def observe(self) -> AbstractContextManager[Observer]:
        """Look at the deployment that the environment names."""
        return observing()

    def _found(self) -> tuple[Found, str]:
        """Return the server to use and the version of the SDK, which is not imported."""
        found, sdk = present(ENGINE, "inngest", "fastapi", "uvicorn", "websockets")
        if self.store is None and found.address is None:
            msg = (
                f"{self.name}: no deployment is named; set {ENGINE.env_address}=HOST:PORT (plain "
                f"HTTP; Inngest's own cloud takes TLS only) and, where it has keys, "
                f"INNGEST_EVENT_KEY and INNGEST_SIGNING_KEY"
            )
            raise RuntimeUnavailableError(msg)
        return found, sdk


def _deployment(site: Site, found: Found) -> Started:
    """Return the running server; its keys are in the environment, as its own SDK reads them."""
    assert found.address  # noqa: S101 - neither binary nor address is no Found
    keys = Keys(
        event=os.environ.get("INNGEST_EVENT_KEY", "bakeoff"),
        signing=os.environ.get("INNGEST_SIGNING_KEY", ""),
    )
    gateway = Address(found.address.host, GATEWAY_PORT)
    return Started(place=Place(site=site), api=found.address, gateway=gateway, keys=keys)


DEV = Inngest(name="inngest-dev", store=Store.MEMORY)
SQLITE = Inngest(name="inngest-sqlite", store=Store.SQLITE)
RUNTIME = Inngest(name="inngest-redis-pg", store=Store.REDIS)
CONNECT = Inngest(name="inngest-connect", store=Store.REDIS, dial=Dial.WORKER)
CLOUD = Inngest(name="inngest-cloud", store=None, dial=Dial.WORKER)
RUNTIMES = (DEV, SQLITE, RUNTIME, CONNECT, CLOUD)
