"""A room of the world: the cell of one run, the history that it writes to, and its holds."""

from __future__ import annotations

import asyncio

from dataclasses import dataclass, field

from aiohttp import web

from harness.effects import Json
from harness.history import History
from harness.scenario import Added
from harness.world.cell import STRANGER, Call, Cell, Outcome
from harness.world.live import LiveCell


APPLIED = "applied"
"""What a caller that has gone leaves behind, as the reason of its cancellation."""


@dataclass(slots=True)
class Hold:
    """An armed point of one run; ``freed`` becomes how the request goes on."""

    freed: asyncio.Future[str]
    keep: bool = False
    request: asyncio.Task[web.Response] | None = None


@dataclass(slots=True)
class Room:
    """A cell with the history that it writes to, and the holds of its runs."""

    cell: Cell | LiveCell
    history: History
    holds: dict[tuple[str, str], Hold] = field(default_factory=dict)
    counts: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def nth(self, run: str, step: str, phase: str) -> int:
        """Count a call or a report."""
        key = (run, step, phase)
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]

    async def apply(self, call: Call, credential: str) -> Outcome:
        """Carry out a call; once a real provider has it, nothing takes it back.

        Raises:
            ProviderError: a real provider has no answer.
            CancelledError: the caller has gone; ``APPLIED`` if it was done nevertheless.

        """
        if not isinstance(self.cell, LiveCell):
            return await self._done(call, credential)
        work = asyncio.ensure_future(self._done(call, credential))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            if work.exception() is None and work.result().applied:
                raise asyncio.CancelledError(APPLIED) from None
            raise

    async def _done(self, call: Call, credential: str) -> Outcome:
        """Carry out a call, and write down what the world shows of it."""
        cell = self.cell
        if isinstance(cell, LiveCell):
            outcome = await cell.apply(call, credential)
        else:
            outcome = cell.apply(call, credential)
        said = {name: value for name, value in call.to_json().items() if name != "run"}
        for _ in range(outcome.times if outcome.applied else 0):
            broken = list(outcome.premise_broken)
            self.history.append("apply", call.run, **said, premise_broken=broken)
        return outcome

    async def look(self, path: str) -> tuple[Json, str]:
        """Return what is behind a path, and its version."""
        cell = self.cell
        return await cell.look(path) if isinstance(cell, LiveCell) else cell.look(path)

    async def fence(self, run: str, epoch: int) -> None:
        """Have calls of older epochs refused."""
        if isinstance(self.cell, LiveCell):
            await self.cell.fence(run, epoch)
        else:
            self.cell.fence(run, epoch)

    async def drift(self, path: str, value: Json | Added) -> None:
        """Write a resource as a stranger would."""
        if isinstance(self.cell, LiveCell):
            await self.cell.write(path, value, STRANGER)
        else:
            self.cell.write(path, value, STRANGER)
