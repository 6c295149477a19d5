"""What stands between a trial's workers and the world, where a column is guarded by more than keys.

The harness knows no gateway: it asks whoever is installed under the entry point
``bakeoff.guards`` to start one, points the workers at it, and reads what it says of runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from harness.effects import Effect, Json, Op, Tier
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


class Question(NamedTuple):
    """What a human is asked: for which step of which run, and which versions he is shown."""

    ident: str
    run: str
    step: str
    premises: Mapping[str, str]
    shown: str
    """By what the guard knows that his word is on just this."""


class Kept(Protocol):
    """The log of a guard, for who wants to break it; what returns text says what was done."""

    def cut(self) -> str:
        """Take half of the last record away, which was acknowledged; the guard is dead."""
        ...

    def flip(self) -> str:
        """Change a bit of the last record, which was acknowledged; the guard is dead."""
        ...

    def tear(self) -> str:
        """Add half of a record that nobody was told of; the guard is dead."""
        ...

    def wipe(self) -> str:
        """Put back what was there before any run; the guard is dead."""
        ...

    def fill(self) -> None:
        """Leave no room for what the live guard writes."""
        ...

    def empty(self) -> None:
        """Make room again."""
        ...

    def unwritten(self) -> int:
        """Return how many records had no room so far."""
        ...


class Guardian(Protocol):
    """A started guard; workers use ``address`` in the world's place."""

    @property
    def address(self) -> str: ...
    @property
    def service(self) -> Service: ...
    @property
    def kept(self) -> Kept: ...
    def admit(
        self,
        scopes: Mapping[str, Collection[Scope]],
        *,
        replans: bool,
        slots: Collection[str] = (),
        asks: Collection[Op] = (),
    ) -> None:
        """Let runs do what their scopes say, and nothing else.

        ``replans``: who runs them can be told to plan anew where a premise does not hold.
        ``slots``: the names of all steps that their program has; without any, it may have others.
        ``asks``: what a human must allow each time.
        """
        ...

    def questions(self, runs: Collection[str]) -> Sequence[Question]:
        """Return what a human is asked for runs."""
        ...

    def approve(self, question: Question) -> None:
        """Say yes, as that human."""
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
