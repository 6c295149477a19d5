"""The tasks that stand for the steps of a program: each calls the world once."""

from __future__ import annotations

import asyncio
import random
import time

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from hatchet_sdk import Context, Hatchet

from harness.effects import Effect, Op
from harness.program import Premise, Step
from harness.runtime import Envelope
from harness.worker import WorldClient


Input = dict[str, Any]
Act = Callable[[Any, Context], Coroutine[Any, Any, Any]]


def performing(world: WorldClient, refresh_s: int) -> Act:
    """Return a task that calls the world for a step."""

    async def perform(call: Input, context: Context) -> Input:
        fields = call["step"]
        op = Op(fields["op"]["verb"], Effect(fields["op"]["effect"]))
        premises = tuple(Premise(**premise) for premise in fields["premises"])
        step = Step(**{**fields, "op": op, "premises": premises})
        envelope = Envelope.from_json(call["envelope"])
        return await world.perform(envelope, step, refreshing(context, refresh_s))

    return perform


def refreshing(context: Context, refresh_s: int) -> Callable[[], None]:
    """Return a beat that moves the attempt's timeout on, each ``refresh_s`` (0: never)."""
    moved_s, tasks = time.monotonic(), set()

    def beat() -> None:
        nonlocal moved_s
        if refresh_s and time.monotonic() - moved_s >= refresh_s:
            moved_s += refresh_s
            moving = context.aio_refresh_timeout(timedelta(seconds=refresh_s))
            tasks.add(asyncio.ensure_future(moving))

    return beat


def emitting(hatchet: Hatchet) -> Act:
    """Return a task that pushes an event: the server starts what consumes it."""

    async def emit(call: Input, context: Context) -> Input:
        del context
        await hatchet.event.aio_push(call["event"], call["payload"])
        return {"pushed": True}

    return emit


async def record(call: Input, context: Context) -> Input:
    """Return the moment and a random number, which the server keeps."""
    del call, context
    return {"now": time.time(), "draw": random.random()}  # noqa: S311 - no secret
