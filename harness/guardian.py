"""What stands between a trial's workers and the world, where a column is guarded by more than keys.

The harness knows no gateway: it asks whoever is installed under the entry point
``bakeoff.guards`` to start one, points the workers at it, and reads what it says of runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from harness.effects import Effect, Json, Tier
from harness.load import LoadError, load, names
from harness.process import Address, Runner, Service
from harness.runtime import RuntimeUnavailableError
from harness.scenario import Provider


class Scope(NamedTuple):
    """One thing that a run may do: a verb of the world, the class of its effect, a path."""

    verb: str
    effect: Effect
    path: str


class Standing(NamedTuple):
    """What a guard says of a run: a status, empty where it has nothing to say, and why."""

    status: str
    why: str


class Guardian(Protocol):
    """A started guard; workers use ``address`` in the world's place."""

    @property
    def address(self) -> str: ...
    @property
    def service(self) -> Service: ...
    def admit(self, scopes: Mapping[str, Collection[Scope]], *, replans: bool) -> None:
        """Let runs do what their scopes say, and nothing else.

        ``replans``: who runs them can be told to plan anew where a premise does not hold.
        """
        ...

    def revoke(self, runs: Collection[str]) -> None:
        """End what runs may do; once this returns, no call of theirs begins."""
        ...

    def standings(self, runs: Collection[str]) -> Mapping[str, Standing]:
        """Return what the guard says of runs; nothing of those that it has not seen."""
        ...

    def explain(self, runs: Collection[str]) -> Mapping[str, Mapping[str, Json]]:
        """Return what an operator is told of each run; nothing while nobody can be asked.

        ``true``, ``authority`` and ``next`` are lists of lines with ``kind``, ``slot`` and
        ``text``; ``unresolved`` names the slots of which nobody knows yet whether they were done.
        """
        ...


class Guarding(Protocol):
    """How a guard is started: the one thing that is installed."""

    def __call__(
        self,
        runner: Runner,
        folder: Path,
        world: Address,
        tier: Tier,
        providers: Mapping[str, Provider],
    ) -> AbstractContextManager[Guardian]: ...


def guarding(name: str) -> Guarding:
    """Return how to start the guard of a name.

    Raises:
        RuntimeUnavailableError: none of that name is installed, or it cannot be loaded.

    """
    known = names("guards")
    try:
        return load(known[name], "START")  # type: ignore[no-any-return]
    except (KeyError, LoadError) as error:
        msg = f"no guard {name!r} can be had: {error}; run: pip install 'bakeoff[gateway]'"
        raise RuntimeUnavailableError(msg) from error
