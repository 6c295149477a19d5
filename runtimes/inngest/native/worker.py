"""The worker of the hand-written functions: ``python -m runtimes.inngest.native.worker ...``.

A function is given its argument as its users would have it in ``event.data``; whose run it is
stays around it.
"""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable
from typing import Any

import inngest

from harness.policy import Policy
from harness.program import FINALIZE
from runtimes.inngest.functions import declared
from runtimes.inngest.names import started, starts
from runtimes.inngest.native.fan_out import fulfil
from runtimes.inngest.native.migration import migrate
from runtimes.inngest.native.steps import POOL
from runtimes.inngest.native.webhook import dispatch
from runtimes.inngest.ops import Pool
from runtimes.inngest.worker import Functions, work
from runtimes.support.port import RUN, ended


Body = Callable[[inngest.Context, dict[str, Any]], Awaitable[dict[str, Any]]]
BODIES: dict[str, Body] = {"migrate": migrate, "fulfil": fulfil, "dispatch": dispatch}


def native(pool: Pool) -> Functions:
    """Return the functions, with the retries and limits of the profile."""
    return [
        pool.client.create_function(
            fn_id=name,
            trigger=inngest.TriggerEvent(event=starts(pool.name, name)),
            **declared(pool, Policy()),
        )(_opened(pool, name, body))
        for name, body in BODIES.items()
    ]


def _opened(
    pool: Pool, name: str, body: Body
) -> Callable[[inngest.Context], Awaitable[dict[str, Any]]]:
    async def call(context: inngest.Context) -> dict[str, Any]:
        envelope, arg = started(name, context.event.name, context.event.data)
        RUN.set(envelope)
        POOL.set(pool)
        output = await body(context, dict(arg))  # type: ignore[arg-type]
        if ended():
            await asyncio.shield(pool.reports.begin(envelope, FINALIZE, ""))
        return output

    return call


if __name__ == "__main__":
    asyncio.run(work(native))
