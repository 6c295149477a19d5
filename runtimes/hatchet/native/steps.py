"""How the hand-written durable tasks call their effects: one child task for each."""

from __future__ import annotations

import json

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from hatchet_sdk import Context

from harness.program import AFTER_ACK
from harness.runtime import Envelope
from runtimes.hatchet.pool import Pool
from runtimes.hatchet.settings import STEP
from runtimes.hatchet.steps import Act, Input, refreshing
from runtimes.support.port import RUN, calling, recorded


Effect = Callable[..., Awaitable[Any]]
POOL: ContextVar[Pool] = ContextVar("bakeoff.pool")
NOTE = "bakeoff"
"""What carries a run's envelope to its children, as users carry an id of their traces."""


def task(pool: Pool, effect: Effect) -> None:
    """Add the task of an effect."""
    pool.task(f"{STEP}.{effect.__name__}", _opened(pool, effect))


def _opened(pool: Pool, effect: Effect) -> Act:
    async def act(call: Input, context: Context) -> Input:
        told = context.additional_metadata
        envelope = Envelope.from_json(json.loads(told[NOTE]))
        beat = refreshing(context, pool.place.timers.refresh_s)
        with calling(pool.world, envelope, told["step"], beat):
            return {"result": await effect(*call["args"])}

    return act


async def step(name: str, effect: Effect, *args: Any) -> Any:  # noqa: ANN401 - as varied as effects
    """Run the task of an effect as a child, whose key is the step's name."""
    pool, envelope = POOL.get(), RUN.get()
    told = await pool.workflows[f"{STEP}.{effect.__name__}"].aio_run(
        {"args": list(args)},
        child_key=name,
        additional_metadata={"run": "", "step": name, NOTE: json.dumps(envelope.to_json())},
    )
    if recorded(name):
        await pool.world.at(envelope, AFTER_ACK, name)
    return told["result"]
