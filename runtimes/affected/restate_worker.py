"""A worker of Restate that is hosted as the SDK's README shows; else the column's worker."""

from __future__ import annotations

import runpy
import socket

from collections.abc import Sequence
from typing import Any

import hypercorn
import hypercorn.asyncio
import restate

from harness.effects import Json
from harness.worker import announce
from runtimes.restate import serve as hosting


async def serve(services: Sequence[Any], **details: Json) -> None:
    """Serve on a free port, with hypercorn's own handler of SIGTERM and nothing of ours."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = hypercorn.Config()
    config.bind = [f"fd://{listener.detach()}"]
    announce(port=port, **details)
    await hypercorn.asyncio.serve(restate.app(services), config)


if __name__ == "__main__":
    hosting.serve = serve
    runpy.run_module("runtimes.restate.worker", run_name="__main__")
