"""The world of one run whose providers are real servers, behind the same face.

Workers and gateways see no difference: they ask the world, and are held where the harness wants
them.  Behind the hold the call goes to the real system, and what the history has as applied is
what that system's own records show: they are counted before each call and after it.
"""

from __future__ import annotations

import threading

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from harness.effects import Json, Tier
from harness.load import LoadError, load
from harness.loop import Loop
from harness.process import Site
from harness.runtime import RuntimeUnavailableError
from harness.scenario import Added, Case
from harness.world.cell import Call, Cell, Outcome


class ProviderError(Exception):
    """A real provider did not say how a call ended; the message says what is known."""


@dataclass(frozen=True, slots=True)
class Acted:
    """How a real provider answered, and how often its own records show that it acted."""

    reply: dict[str, Json]
    times: int = 0


class Part(Protocol):
    """What one run has of a real provider.  Each raises ``ProviderError`` where it cannot tell."""

    async def act(self, call: Call) -> Acted:
        """Carry out a call, once."""
        ...

    async def look(self, path: str) -> tuple[Json, str]:
        """Return what is there and its version, by a question of the harness's own."""
        ...

    async def strange(self, path: str, value: Json | Added) -> None:
        """Change it as somebody else would, whatever it is."""
        ...

    async def fence(self, run: str, epoch: int) -> None:
        """Refuse calls of older epochs, if that can be had."""
        ...


class Real(Protocol):
    """A real provider that serves."""

    async def part(self, run: str, values: Mapping[str, Json], tier: Tier) -> Part:
        """Make what a run has of it, with its first values by path."""
        ...


class Starting(Protocol):
    """How a real provider is started: what ``Provider.live`` names."""

    def __call__(self, site: Site) -> AbstractContextManager[Real]:
        """Start it on a free loopback port; it ends with the context.

        Raises:
            RuntimeUnavailableError: it is not on this machine.

        """
        ...


@dataclass(slots=True)
class LiveCell:
    """As a ``Cell``, with real providers: what it has in memory is the planner's turn."""

    cell: Cell
    parts: Mapping[str, Part]
    strangers: set[str] = field(default_factory=set)

    @property
    def tier(self) -> Tier:
        """Return the case's tier."""
        return self.cell.tier

    @property
    def lag_s(self) -> float:
        """Return how late a query by step may show an effect."""
        return self.cell.lag_s

    async def apply(self, call: Call, credential: str = "") -> Outcome:
        """Carry out a call where it belongs."""
        path = str(call.args.get("path", ""))
        part = self._part(path)
        if part is None:
            return self.cell.apply(call, credential)
        broken = []
        for premise in call.premises:
            at = premise["path"]
            if at in self.strangers and (await self.look(at))[1] != premise["etag"]:
                broken.append(at)
        acted = await part.act(call)
        if acted.times:
            self.strangers.discard(path)
        return Outcome(acted.reply, bool(acted.times), tuple(broken), acted.times)

    async def look(self, path: str) -> tuple[Json, str]:
        """Ask for what is behind a path."""
        part = self._part(path)
        return self.cell.look(path) if part is None else await part.look(path)

    async def write(self, path: str, value: Json | Added, author: str) -> None:
        """Have a stranger write."""
        part = self._part(path)
        if part is None:
            self.cell.write(path, value, author)
            return
        if isinstance(value, Added):
            self.cell.additions.setdefault(path, []).append(value.item)
        self.strangers.add(path)
        await part.strange(path, value)

    async def fence(self, run: str, epoch: int) -> None:
        """Have older calls refused, by whoever can."""
        for part in self.parts.values():
            await part.fence(run, epoch)

    def applied(self, run: str, step: str) -> bool:
        """Return what the memory knows: no real provider here is asked by step."""
        return self.cell.applied(run, step)

    async def state(self) -> dict[str, Json]:
        """Return how the real systems are at the end, by path."""
        found = self.cell.state()
        values = dict(self.cell.values())
        for path in values:
            if self._part(path) is not None:
                values[path] = (await self.look(path))[0]
        return {**found, "values": values, "strange": [*sorted(self.strangers)]}

    def _part(self, path: str) -> Part | None:
        return self.parts.get(path.partition("/")[0])


class Stands:
    """The real providers of a harness, each started when a case first asks for it.

    A context manager ends them.  Columns share them: each run has a part of its own.
    """

    def __init__(self, loop: Loop, site: Callable[[], AbstractContextManager[Site]]) -> None:
        """Prepare; nothing runs yet."""
        self._loop, self._lend = loop, site
        self._site: Site | None = None
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._real: dict[str, Real | RuntimeUnavailableError] = {}

    def __enter__(self) -> Self:
        """Return what starts them."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all that were started."""
        self._stack.close()

    def need(self, case: Case) -> None:
        """Have the providers of a case serve.

        Raises:
            RuntimeUnavailableError: one of them is not on this machine.
            ProcessError: one was not ready in time.

        """
        for provider in case.scenario.providers.values():
            if provider.live:
                self._served(provider.live)

    def cell(self, case: Case, run: str) -> Cell | LiveCell:
        """Return the world of a run, with its part of each real provider.

        Raises:
            RuntimeUnavailableError: one of them is not on this machine.

        """
        cell = Cell.in_case(case)
        if not case.scenario.live:
            return cell
        self.need(case)
        return self._loop.run(self._laid(cell, run))

    async def _laid(self, cell: Cell, run: str) -> LiveCell:
        parts: dict[str, Part] = {}
        for word, provider in cell.providers.items():
            if provider.live:
                mine = {p: v for p, v in cell.values().items() if p.partition("/")[0] == word}
                real = self._served(provider.live)
                parts[word] = await real.part(run, mine, provider.tier or cell.tier)
        return LiveCell(cell, parts)

    def _served(self, reference: str) -> Real:
        with self._lock:
            if reference not in self._real:
                try:
                    start: Starting = load(reference, "START")
                    self._site = self._site or self._stack.enter_context(self._lend())
                    self._real[reference] = self._stack.enter_context(start(self._site))
                except RuntimeUnavailableError as error:
                    self._real[reference] = error
                except LoadError as error:
                    if not _uninstalled(error):
                        raise
                    msg = f"{error}; run: pip install 'bakeoff[gateway]'"
                    self._real[reference] = RuntimeUnavailableError(msg)
            found = self._real[reference]
        if isinstance(found, RuntimeUnavailableError):
            raise found
        return found


def _uninstalled(error: LoadError) -> bool:
    """Say whether a whole package is missing; a module of one that is there is misspelt."""
    cause = error.__cause__
    return isinstance(cause, ModuleNotFoundError) and "." not in (cause.name or ".")
