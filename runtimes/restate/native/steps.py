"""How the hand-written handlers run their effects: one ``run`` block for each."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import restate

from harness.program import AFTER_ACK
from runtimes.restate.runs import RECORDED, WORLD
from runtimes.support.port import RUN, calling, recorded


Effect = Callable[..., Awaitable[Any]]
Future = restate.RestateDurableFuture[Any]


def begin(
    context: restate.WorkflowContext,
    name: str,
    effect: Effect,
    *args: Any,  # noqa: ANN401
) -> Future:
    """Begin an effect in a ``run`` block under the step's name."""

    async def call() -> Any:  # noqa: ANN401 - as varied as effects
        with calling(WORLD, RUN.get(), name):
            return await effect(*args)

    return context.run_typed(name, call, RECORDED)


async def report(name: str) -> None:
    """Report that the server has the step's result, where the run is held there."""
    if recorded(name):
        await WORLD.at(RUN.get(), AFTER_ACK, name)


async def step(context: restate.WorkflowContext, name: str, effect: Effect, *args: Any) -> Any:  # noqa: ANN401
    """Carry out one effect and return its result."""
    result = await begin(context, name, effect, *args)
    await report(name)
    return result


async def together(begun: Mapping[str, Future]) -> list[Any]:
    """Return the results of effects that were begun, each reported as soon as it is there."""
    names = {future: name for name, future in begun.items()}
    reports = [
        asyncio.create_task(report(names[future])) async for future in restate.as_completed(*names)
    ]
    await asyncio.gather(*reports)
    return [await future for future in names]
