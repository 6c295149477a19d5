"""What an engine is: data about a server binary, and nothing about how it is driven.

The harness must find, install and name servers that it knows nothing about, so everything that
differs between them is a field of `Engine`, declared by the package of that server and found by
entry point.
"""

from __future__ import annotations

import platform
import re

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal, Protocol

from harness.engines.child import EngineError, answer
from harness.process import Address


GROUP = "bakeoff.engines"

Source = Literal["environment", "address", "path", "cache"]

_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-[\w.]+)?")
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


class DamagedError(EngineError):
    """A binary in the cache is not the one that was put there; it is never used."""


class Progress(Protocol):
    """Who is told how an installation goes; amounts are absolute, in the stage's unit."""

    def stage(
        self,
        what: str,
        *,
        unit: str = "",
        total: float | None = None,
        typical_s: float | None = None,
    ) -> None:
        """Begin the next stage; ``typical_s`` is how long it takes where nothing is at hand."""

    def reached(self, amount: float) -> None:
        """Say how much of the stage is done; called at least once a second while it goes on."""

    def note(self, line: str) -> None:
        """Show one line."""


class Recipe(Protocol):
    """How the binaries of an engine are made on this machine."""

    def obstacle(self) -> str | None:
        """Return why it cannot be made here and the command that changes it, or None."""

    def make(self, work: Path, say: Progress) -> Sequence[Path]:
        """Return the executable and its companions in their order, made inside ``work``.

        ``work`` may hold what an interrupted attempt left there; what saves time is used again.

        Raises:
            EngineError: it could not be made.

        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A server that a runtime needs.

    ``executable`` is its file name; ``companions`` are those of programs in the same folder that
    it cannot do without.  ``env_binary`` and ``env_address`` name the environment variables with a
    binary to use instead, or the ``host:port`` of a running deployment; ``version_argv`` are the
    arguments that make it print its version and end.
    """

    name: str
    version: str
    executable: str
    env_binary: str
    env_address: str
    version_argv: tuple[str, ...]
    recipe: Recipe
    companions: tuple[str, ...] = ()

    def version_of(self, binary: Path) -> str:
        """Return the version that ``binary`` reports.

        Raises:
            EngineError: it does not run here, or it reports no version.

        """
        said = answer([str(binary), *self.version_argv])
        match = _VERSION.search(said)
        if match is None:
            raise EngineError(
                expected=f"{binary} {' '.join(self.version_argv)} to print a version",
                seen=f"{said[:200]!r}",
                do=f"check that {binary} is {self.name}",
            )
        return match.group()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The server that a sweep is going to use: a binary, or a deployment that runs already.

    ``owned`` is False for a deployment: whoever uses it never kills, cuts or loads it.
    ``version`` is what was seen, which is not always the pinned one; None where nobody asked.
    """

    engine: Engine
    source: Source
    path: Path | None = None
    address: Address | None = None
    owned: bool = True
    version: str | None = None

    def companion(self, name: str) -> Path:
        """Return the path of a companion, beside the binary."""
        assert self.path is not None  # noqa: S101 - a deployment has none
        return self.path.with_name(name)


def engines() -> Mapping[str, Engine]:
    """Return every engine that an installed distribution declares, by name.

    Raises:
        EngineError: a declaration cannot be loaded, or is not an engine of that name.

    """
    known: dict[str, Engine] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            engine = entry.load()
        except (ImportError, AttributeError) as error:
            raise EngineError(
                expected=f"the entry point {entry.name} = {entry.value} of {GROUP} to load",
                seen=f"{type(error).__name__}: {error}",
                do="repair or uninstall the distribution that declares it",
            ) from error
        if not isinstance(engine, Engine) or engine.name != entry.name:
            raise EngineError(
                expected=f"{entry.value} to be an Engine with the name {entry.name}",
                seen=f"{engine!r}",
                do="repair or uninstall the distribution that declares it",
            )
        known[engine.name] = engine
    return known


def host_platform() -> str:
    """Return this machine as ``linux-x64``, ``darwin-arm64`` and so on."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
