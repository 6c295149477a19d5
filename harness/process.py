"""What runs: processes and services, whoever starts them.

A process is anything that can die: an OS process, a container, a pod.  Every death is a
fact with a pid, a signal and a wait status, because a kill that did not happen makes a
verdict meaningless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from harness.deadline import Deadline
from harness.effects import Json


class ProcessError(Exception):
    """A process could not be started or died too early; the message has its stderr's tail."""


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address on this machine."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended.

    ``signal`` is what was sent (0: nothing), ``status`` the wait status of the operating
    system (``None`` of another's child, which was seen gone), ``cpu_s`` user plus system
    seconds, ``peak_bytes`` the largest resident size.
    """

    pid: int
    signal: int
    status: int | None
    cpu_s: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """How to start one worker or server process.

    ``ready`` says that the process announces itself with a JSON line on stdout.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: bool = True


class Process(Protocol):
    """Something that can be killed, paused and waited for.

    ``kill`` takes the whole group, or one part that the process announced in ``parts``.
    """

    name: str
    incarnation: str
    pid: int
    log: Path

    def alive(self) -> bool: ...
    def kill(self, part: str = "group") -> Exit: ...
    def terminate(self, grace_s: float) -> Exit: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def wait(self, timeout_s: float) -> Exit | None: ...
    def announced(self, deadline: Deadline) -> Mapping[str, Json]: ...
    def send(self, line: Mapping[str, Json]) -> None: ...


@runtime_checkable
class Service(Protocol):
    """A server: it comes back on the same ports and data."""

    @property
    def name(self) -> str: ...
    def alive(self) -> bool: ...
    def kill(self) -> Exit: ...
    def restart(self) -> None: ...
    def ready(self, deadline: Deadline) -> None: ...


@runtime_checkable
class Freezable(Protocol):
    """A server that can be stopped where it stands, so that its files keep still."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


@runtime_checkable
class Upgradable(Protocol):
    """A server that can come back as another binary."""

    def upgrade(self, binary: Path) -> None: ...


class Runner(Protocol):
    """Where processes run."""

    name: str

    def start(self, name: str, spec: WorkerSpec) -> Process: ...


class Link(Protocol):
    """A TCP path in the harness's hands, between an engine and a worker."""

    address: Address

    def point_at(self, upstream: Address) -> None: ...


class Site(Protocol):
    """What a sweep lends to a runtime: a runner, folders, links and free ports."""

    @property
    def runner(self) -> Runner: ...
    @property
    def environment(self) -> Mapping[str, str]:
        """Return what marks a child as this site's, for those that no runner starts."""
        ...

    def state_dir(self, name: str) -> Path: ...
    def link(self, name: str) -> Link: ...
    def reserve(self) -> Address: ...
