"""The worker of the hand-written workflows; a script like ``runtimes.restate.worker``."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable
from typing import Any

import restate

from harness.effects import Json
from harness.program import FINALIZE
from harness.runtime import Envelope
from runtimes.restate.native.fan_out import fulfil
from runtimes.restate.native.migration import migrate
from runtimes.restate.native.webhook import dispatch
from runtimes.restate.runs import FLOWS, SERVICES, WORLD, Flow
from runtimes.restate.serve import serve
from runtimes.support.port import RUN, ended


Handler = Callable[[restate.WorkflowContext, dict[str, Any]], Awaitable[dict[str, Any]]]


def native(handler: Handler) -> Flow:
    """Return the flow that opens the envelope for a handler."""

    async def flow(context: restate.WorkflowContext, envelope: Envelope, arg: Any) -> Json:  # noqa: ANN401 - JSON
        RUN.set(envelope)
        output = await handler(context, arg)
        if ended():
            await WORLD.at(envelope, FINALIZE, "")
        return output

    return flow


if __name__ == "__main__":
    FLOWS.update(migrate=native(migrate), fulfil=native(fulfil), dispatch=native(dispatch))
    asyncio.run(serve(SERVICES))
