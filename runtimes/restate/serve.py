"""How a worker serves: HTTP/2 for a server that dials it."""

from __future__ import annotations

import asyncio
import socket

from collections.abc import Sequence
from typing import Any

import hypercorn.asyncio
import restate

from hypercorn.config import Config
from restate.server import install_shutdown_hook

from harness.effects import Json
from harness.worker import announce
from runtimes.restate.profiles import STREAMS


FOREVER = 1 << 31


async def serve(services: Sequence[Any], **details: Json) -> None:
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
    announce(port=port, **details)
    await hypercorn.asyncio.serve(restate.app(services), config, shutdown_trigger=stop.wait)
