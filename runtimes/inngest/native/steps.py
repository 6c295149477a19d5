"""How the hand-written functions run their effects: one ``step.run`` for each."""

from __future__ import annotations

import asyncio
import functools

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

import inngest

from harness.program import AFTER_ACK
from runtimes.inngest.ops import Pool
from runtimes.support.port import RUN, calling, recorded


Effect = Callable[..., Awaitable[Any]]
POOL: ContextVar[Pool] = ContextVar("bakeoff.pool")


async def run(context: inngest.Context, name: str, effect: Effect, *args: Any) -> Any:  # noqa: ANN401
    """Run an effect under the step's name; if its reply is lost, the server retries."""

    async def call() -> Any:  # noqa: ANN401
        with calling(POOL.get().world, RUN.get(), name):
            return await effect(*args)

    return await context.step.run(name, call)


async def report(name: str) -> None:
    """Report that the server has the step's result, where the run is held there."""
    if recorded(name):
        await asyncio.shield(POOL.get().reports.begin(RUN.get(), AFTER_ACK, name))


async def step(context: inngest.Context, name: str, effect: Effect, *args: Any) -> Any:  # noqa: ANN401
    """Carry out one effect and return its result."""
    result = await run(context, name, effect, *args)
    await report(name)
    return result


async def together(
    context: inngest.Context, effects: Mapping[str, Callable[[], Awaitable[Any]]]
) -> list[Any]:
    """Carry out effects side by side and return their results.

    The function goes on when all have ended, so what the server has of each is looked up.
    """

    async def watched(name: str, effect: Effect) -> Any:  # noqa: ANN401
        result = await effect()
        if recorded(name):
            POOL.get().reports.watch(RUN.get(), context.run_id, name)
        return result

    results = await context.group.parallel(
        tuple(
            functools.partial(run, context, name, watched, name, effect)
            for name, effect in effects.items()
        )
    )
    await asyncio.gather(*map(report, effects))
    return list(results)
