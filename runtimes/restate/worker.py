"""The worker process: ``python -m runtimes.restate.worker POOL SETTINGS`` serves one pool."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

from datetime import timedelta
from typing import Any

import hypercorn.asyncio
import restate

from hypercorn.config import Config
from restate.server import install_shutdown_hook

from harness.program import ProgramError, play
from harness.runtime import Envelope
from harness.worker import WorldClient, announce, scenario
from runtimes.restate.ops import RestateOps
from runtimes.restate.profiles import STREAMS


FOREVER = 1 << 31


def app(pool: str, settings: dict[str, Any]) -> Any:  # noqa: ANN401 - an ASGI application
    """Return the services of a pool: one workflow, whose input names the program."""
    known, world = scenario(), WorldClient()

    def span(name: str) -> timedelta | None:
        return timedelta(seconds=settings[name]) if name in settings else None

    runs = restate.Workflow(
        f"bakeoff-{pool}",
        inactivity_timeout=span("inactivity_timeout_s"),
        abort_timeout=span("abort_timeout_s"),
        invocation_retry_policy=restate.InvocationRetryPolicy(
            initial_interval=span("retry_initial_interval_s"),
            max_interval=span("retry_max_interval_s"),
        ),
    )

    @runs.main(name="run")
    async def main(context: restate.WorkflowContext, start: Any) -> Any:  # noqa: ANN401 - JSON
        ops = RestateOps(context, Envelope.from_json(start["envelope"]), known, world, main)
        try:
            return await play(known.program(start["program"]).body, start["arg"], ops)
        except ProgramError as error:  # a retry would not mend the program
            raise restate.TerminalError(str(error)) from error

    @runs.handler(name="deliver")
    async def deliver(context: restate.WorkflowSharedContext, event: Any) -> None:  # noqa: ANN401
        promise: restate.DurablePromise[Any] = context.promise(event["name"])
        await promise.resolve({"payload": event["payload"]})

    return restate.app([runs])


async def serve(application: Any) -> None:  # noqa: ANN401 - an ASGI application
    """Serve HTTP/2 on a free port; SIGTERM ends it, though the SDK takes the signal for itself."""
    stop = asyncio.Event()
    install_shutdown_hook(asyncio.get_running_loop(), stop.set)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.h2_max_concurrent_streams = STREAMS
    # By default hypercorn ends a connection after 1,000 requests, with all that is held on it.
    config.keep_alive_max_requests, config.keep_alive_timeout = FOREVER, float(FOREVER)
    announce(port=port)
    await hypercorn.asyncio.serve(application, config, shutdown_trigger=stop.wait)


if __name__ == "__main__":
    asyncio.run(serve(app(sys.argv[1], json.loads(sys.argv[2]))))
