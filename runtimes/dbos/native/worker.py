"""The worker of the hand-written workflows; a script like ``runtimes.dbos.worker``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from harness.effects import Json
from harness.program import FINALIZE
from harness.runtime import Envelope
from runtimes.dbos.native.fan_out import fulfil
from runtimes.dbos.native.migration import migrate
from runtimes.dbos.native.webhook import dispatch
from runtimes.dbos.ops import WORLD, Flow
from runtimes.dbos.worker import serve
from runtimes.support.port import RUN, ended


def native(workflow: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> Flow:
    """Return the flow that opens the envelope for a workflow."""

    async def flow(envelope: Envelope, arg: Any) -> Json:  # noqa: ANN401 - JSON
        RUN.set(envelope)
        output = await workflow(arg)
        if ended():
            await WORLD.at(envelope, FINALIZE, "")
        return output

    return flow


if __name__ == "__main__":
    serve({"migrate": native(migrate), "fulfil": native(fulfil), "dispatch": native(dispatch)})
