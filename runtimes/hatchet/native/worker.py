"""The worker of the hand-written durable tasks: ``python -m runtimes.hatchet.native.worker POOL``.

A durable task is given its argument as its users would give it; whose run it is stays around it.
"""

from __future__ import annotations

import sys

from collections.abc import Awaitable, Callable
from typing import Any

from hatchet_sdk import DurableContext

from harness.program import FINALIZE
from runtimes.hatchet.native.fan_out import fulfil
from runtimes.hatchet.native.migration import migrate
from runtimes.hatchet.native.steps import POOL, task
from runtimes.hatchet.native.webhook import dispatch
from runtimes.hatchet.pool import Body, Pool
from runtimes.hatchet.runs import begun
from runtimes.hatchet.steps import Input
from runtimes.hatchet.worker import serve
from runtimes.support import providers
from runtimes.support.port import RUN, ended


Written = Callable[[dict[str, Any], DurableContext], Awaitable[dict[str, Any]]]
WRITTEN: dict[str, Written] = {"migrate": migrate, "fulfil": fulfil, "dispatch": dispatch}


def opened(pool: Pool, name: str) -> Body:
    """Return a durable task that takes the run's envelope off its argument."""

    async def body(told: Input, context: DurableContext) -> Input:
        envelope, arg = begun(told, name, context)
        RUN.set(envelope)
        POOL.set(pool)
        output = await WRITTEN[name](dict(arg), context)  # type: ignore[arg-type]
        if ended():
            await pool.world.at(envelope, FINALIZE, "")
        return {"output": output}

    return body


def main() -> None:
    """Serve the programs of the scenario as they are written here."""
    pool = Pool(sys.argv[1])
    for effect in providers.EFFECTS:
        task(pool, effect)
    for program in pool.scenario.programs:
        pool.workflow(program, opened(pool, program.name))
    serve(pool)


if __name__ == "__main__":
    main()
