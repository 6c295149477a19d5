"""Time as recovery needs it: what it is, and waiting until it is later."""

from __future__ import annotations

import asyncio

from typing import Protocol

from runtimes.reference.effect_log.log import wall_ms


class Clock(Protocol):
    """Milliseconds of the wall clock, as they stand in the log."""

    def now_ms(self) -> int: ...
    async def until(self, moment_ms: int) -> None: ...


class WallClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the milliseconds since 1970."""
        return wall_ms()

    async def until(self, moment_ms: int) -> None:
        """Return once the clock shows ``moment_ms``."""
        while (left_ms := moment_ms - self.now_ms()) > 0:  # noqa: ASYNC110 - no event but time
            await asyncio.sleep(left_ms / 1000)
