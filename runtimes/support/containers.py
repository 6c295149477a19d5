"""Servers in containers: another way to get one, where a Docker engine answers.

The library that starts them sweeps by a container of its own, whose image must be pulled and
which outlives a kill of the engine.  Here each container carries its site's folder as a label,
and the next start removes those whose site is gone.
"""

from __future__ import annotations

import signal

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker  # type: ignore[import-untyped]

from docker.errors import DockerException, NotFound  # type: ignore[import-untyped]
from docker.models.containers import Container as Raw  # type: ignore[import-untyped]
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from harness.deadline import Deadline, DeadlineError, wait_until
from harness.process import Address, Exit, ProcessError, Site
from harness.runtime import RuntimeUnavailableError


LABEL = "bakeoff.site"
TAIL_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image, the port that it serves at, and what it is started with.

    ``untried``: nobody here has started it, its name and settings are its vendor's.
    """

    reference: str
    port: int
    command: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    untried: bool = False


OFFICIAL = {
    "postgres": Image(
        reference="postgres:15.6",
        port=5432,
        command="postgres -c max_connections=400 -c timezone=UTC",
        env={"POSTGRES_USER": "bakeoff", "POSTGRES_PASSWORD": "bakeoff"},
        untried=True,
    ),
    "redis": Image(
        reference="redis:7",
        port=6379,
        command="redis-server --appendonly yes --appendfsync always",
        untried=True,
    ),
    "temporal": Image(
        reference="temporalio/temporal:1.8.2",
        port=7233,
        command="server start-dev --ip 0.0.0.0 --headless",
        untried=True,
    ),
    # These two need stores and keys besides, in ``env``.
    "inngest": Image(
        reference="inngest/inngest:v1.43.0", port=8288, command="inngest start", untried=True
    ),
    "hatchet": Image(
        reference="ghcr.io/hatchet-dev/hatchet/hatchet-lite:v0.105.0", port=7077, untried=True
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A server in a container: a ``Service``, back on the same port and data."""

    name: str
    address: Address
    probe: Callable[[Address], bool]
    raw: Raw

    def alive(self) -> bool:
        """Say whether its first process lives."""
        self.raw.reload()
        return bool(self.raw.status == "running")

    def kill(self) -> Exit:
        """Kill it with all its processes and return once the engine has seen it end."""
        self.raw.reload()
        pid = int(self.raw.attrs["State"]["Pid"])
        if self.raw.status == "running":
            self.raw.kill("SIGKILL")
        self.raw.wait()
        return Exit(pid=pid, signal=signal.SIGKILL, status=None)

    def restart(self) -> None:
        """Start the same container again."""
        self.raw.start()

    def ready(self, deadline: Deadline) -> None:
        """Return once it serves.

        Raises:
            ProcessError: it died, or was not ready in time; with its log's tail.

        """
        try:
            served = f"{self.name} serves"
            wait_until(lambda: not self.alive() or self.probe(self.address), deadline, served)
        except DeadlineError as error:
            raise ProcessError(self._report("did not get ready in time")) from error
        if not self.alive():
            raise ProcessError(self._report("died at start-up"))

    def _report(self, what: str) -> str:
        said = self.raw.logs(tail=TAIL_LINES).decode(errors="replace").strip() or "(empty)"
        return f"{self.name} {what}; the container's log ends:\n{said}"


@contextmanager
def contained(
    site: Site, name: str, image: Image, probe: Callable[[Address], bool]
) -> Iterator[Container]:
    """Start a container on a loopback port; call ``ready`` before use.

    Raises:
        RuntimeUnavailableError: no Docker engine answers, or it cannot get the image.

    """
    address, folder = site.reserve(), site.state_dir(name)
    testcontainers_config.ryuk_disabled = True
    with ExitStack() as stack:
        try:
            _remove_orphans()
            wanted = DockerContainer(image.reference).with_kwargs(labels={LABEL: str(folder)})
            stack.callback(wanted.stop)
            wanted.with_envs(**image.env).with_command(image.command)
            # A port of our choice: one of the engine's choice is another after a restart.
            wanted.ports[f"{image.port}/tcp"] = (address.host, address.port)  # type: ignore[assignment]
            wanted.start()
        except DockerException as error:
            msg = f"no container of {image.reference}: {error}; start a Docker engine that has the"
            msg += f" image (docker pull {image.reference}), or set DOCKER_HOST"
            raise RuntimeUnavailableError(msg) from error
        raw = wanted.get_wrapped_container()
        yield Container(name=name, address=address, probe=probe, raw=raw)


def _remove_orphans() -> None:
    """Remove the containers whose site's folder is gone: a sweep removes that of a dead one."""
    with closing(docker.from_env()) as client:
        for each in client.containers.list(all=True, filters={"label": LABEL}):
            if not Path(each.labels[LABEL]).exists():
                with suppress(NotFound):  # another start was quicker
                    each.remove(force=True, v=True)
