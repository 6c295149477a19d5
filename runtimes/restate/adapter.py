"""The adapter of Restate: a server that dials its workers over HTTP/2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import httpx

from harness.deadline import Deadline
from harness.effects import Json
from harness.observer import Observer
from harness.process import Site, WorkerSpec
from harness.program import AFTER_ACK, FINALIZE
from harness.runtime import Dial, Guarantee, Kind, RuntimeUnavailableError, Support, Witness
from harness.service import Server
from runtimes.restate.backend import PATIENCE_S, RestateBackend
from runtimes.restate.declared import CAPABILITIES
from runtimes.restate.observer import observing
from runtimes.restate.profiles import PROFILES, environment
from runtimes.restate.server import ENGINE
from runtimes.support.present import present


READY_S = 60.0
CLIENTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RestateRuntime:
    """What Restate is and promises.

    ``module`` is the worker's; ``scenarios`` are those that it can run, ``None`` for all.
    """

    name: str = "restate"
    module: str = "runtimes.restate.worker"
    scenarios: Sequence[str] | None = None
    kind: Kind = Kind.SERVER
    dial: Dial = Dial.SERVER
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE
    batch: int = 400
    profiles: Sequence[str] = tuple(PROFILES)
    witness: Mapping[str, Witness] = field(
        default_factory=lambda: {
            "before_effect": Witness.WORLD,
            "after_effect": Witness.WORLD,
            AFTER_ACK: Witness.WORKER,
            FINALIZE: Witness.WORKER,
            "waiting": Witness.JOURNAL,
        }
    )
    capabilities: Mapping[str, Support] = field(default_factory=lambda: CAPABILITIES)

    def version(self) -> str:
        """Return the versions of the server and of the SDK."""
        found, _ = present(ENGINE, "restate-sdk", "hypercorn")
        server = found.version or f"at {found.address}"
        return f"restate-server {server}, restate-sdk {metadata.version('restate-sdk')}"

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return what governs recovery."""
        return PROFILES[profile].to_json()

    @contextmanager
    def start(self, site: Site, profile: str) -> Iterator[RestateBackend]:
        """Start a server, or use the deployment that the environment names."""
        found, _ = present(ENGINE, "restate-sdk", "hypercorn")
        with ExitStack() as stack:
            accept = {"Accept": "application/json"}
            client = httpx.Client(timeout=PATIENCE_S, headers=accept, trust_env=False)
            http = stack.enter_context(client)
            threads = stack.enter_context(ThreadPoolExecutor(CLIENTS, "restate"))
            if found.path is None:
                admin, ingress = _deployment(http, f"http://{found.address}")
                yield RestateBackend(site, profile, admin, ingress, http, threads, self.module)
                return
            server, admin, ingress = _server(site, profile, found.path, http)
            stack.enter_context(server).ready(Deadline.after(READY_S))
            place = (admin, ingress, http, threads, self.module)
            yield RestateBackend(site, profile, *place, [server])

    def observe(self) -> AbstractContextManager[Observer]:
        """Look at the deployment that the environment names."""
        return observing()


def _deployment(http: httpx.Client, admin: str) -> tuple[str, str]:
    """Return the admin and ingress addresses of a running server, which names the latter."""
    try:
        version = http.get(f"{admin}/version").raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        msg = f"restate: {admin} is no admin interface ({error}); correct {ENGINE.env_address}"
        raise RuntimeUnavailableError(msg) from error
    return admin, str(version["ingress_endpoint"]).rstrip("/")


def _server(site: Site, profile: str, binary: Path, http: httpx.Client) -> tuple[Server, str, str]:
    """Return a server on three ports and a folder of its own, and its two addresses."""
    ports = [site.reserve() for _ in range(3)]
    _, admin, ingress = (f"http://{port}" for port in ports)
    argv = [str(binary), "--no-logo", "--base-dir", str(site.state_dir("restate"))]
    spec = WorkerSpec(argv=argv, env=environment(profile, ports), ready=False)

    def serves() -> bool:
        # Health is answered up to a second before partitions have leaders; a query is not.
        query = {"query": "select count(*) from sys_invocation"}
        try:
            asked = http.post(f"{admin}/query", json=query)
            return asked.is_success and http.get(f"{ingress}/restate/health").is_success
        except httpx.TransportError:
            return False

    return Server("restate", site.runner, spec, serves), admin, ingress


RUNTIME = RestateRuntime()
