"""What the server does not do, built around it: early events are kept, long steps are ended."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from harness.effects import Json
from runtimes.inngest.view import Job, waits_for


PRIMITIVES = ("signal", "step_timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An event that a run is to get once the server says that it waits for it."""

    run: str
    event: str
    step: str
    body: Mapping[str, Json]


@dataclass(slots=True)
class Letters:
    """Events that came before their run waits for them: the server would forget them."""

    _kept: dict[str, list[Letter]] = field(default_factory=dict)
    _taken: dict[tuple[str, str], Letter] = field(default_factory=dict)

    def keep(self, pool: str, letter: Letter) -> None:
        """Take an event; the first of a key counts."""
        if self._taken.setdefault((letter.run, letter.step), letter) is letter:
            self._kept.setdefault(pool, []).append(letter)

    def deliver(
        self,
        pool: str,
        jobs: Mapping[str, Sequence[Job] | None],
        send: Callable[[Sequence[Mapping[str, Json]]], object],
    ) -> None:
        """Send what a run now waits for, by the jobs that the queue has for it."""
        for letter in list(self._kept.get(pool, ())):
            if waits_for(jobs.get(letter.run) or (), letter.event, letter.step):
                send([letter.body])
                self._kept[pool].remove(letter)


@asynccontextmanager
async def within(limit_s: float | None) -> AsyncIterator[None]:
    """End what a step does after a while, ``None`` for never.

    Raises:
        TimeoutError: it took longer.

    """
    async with asyncio.timeout(limit_s):
        yield
