"""How a server of our own is started."""

from __future__ import annotations

from http import HTTPStatus

import httpx

from harness.engines import Found
from harness.process import Address, Site, WorkerSpec
from harness.service import Server
from runtimes.temporal.settings import Timers


def pragmas(timers: Timers) -> tuple[str, ...]:
    """Return how the server's SQLite is set; a killed process loses nothing with either."""
    return "journal_mode=wal", f"synchronous={timers.synchronous}"


def server(site: Site, found: Found, address: Address, timers: Timers) -> Server:
    """Return the dev server on one SQLite file; it serves once its namespace is there."""
    http, database = site.reserve(), site.state_dir("temporal") / "temporal.db"
    argv = [str(found.path), "server", "start-dev", "--headless"]
    argv += ["--log-level", "warn", "--log-format", "json"]
    argv += ["--ip", address.host, "--port", str(address.port), "--http-port", str(http.port)]
    argv += ["--db-filename", str(database)]
    argv += ["--dynamic-config-value", f'history.timerProcessorMaxTimeShift="{timers.slack_s:g}s"']
    argv += [word for pragma in pragmas(timers) for word in ("--sqlite-pragma", pragma)]
    spec = WorkerSpec(argv=argv, env={"TEMPORAL_VERSION_CHECK_DISABLED": "1"}, ready=False)
    url = f"http://{http}/api/v1/namespaces/default"

    def serves() -> bool:
        try:
            return httpx.get(url, timeout=1.0).status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    return Server("temporal", site.runner, spec, serves)
