"""The worker process: ``python -m runtimes.inngest.worker POOL SETTINGS`` serves one pool.

Over HTTP the server calls it at the address of the pool's link; over Connect it dials the
server, through links too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import fastapi
import inngest
import inngest.connect
import inngest.fast_api
import uvicorn

from inngest.connect import ConnectionState

from harness.worker import WorldClient, announce, scenario
from runtimes.inngest.functions import functions
from runtimes.inngest.names import app
from runtimes.inngest.ops import Pool, limit
from runtimes.inngest.reports import Reports


Functions = list[inngest.Function[Any]]


def pool(name: str, settings: dict[str, Any]) -> Pool:
    """Return what the functions share; keys come by the environment, as the SDK reads them."""
    world = WorldClient()
    client = inngest.Inngest(
        app_id=app(name),
        api_base_url=settings["api"],
        event_api_base_url=settings["api"],
        is_production=settings["production"],
        logger=logging.getLogger("inngest"),
    )
    chosen = scenario()
    return Pool(
        name=name,
        scenario=chosen,
        client=client,
        world=world,
        reports=Reports(world, settings["api"]),
        budget=settings["retries"],
        within=limit(chosen),
    )


async def http(client: inngest.Inngest, programs: Functions) -> None:
    """Serve on a free port; without a limit of its own, since holds may be many and long."""
    application = fastapi.FastAPI()
    inngest.fast_api.serve(application, client, programs)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(application, log_level="warning", timeout_keep_alive=3600)
    announce(port=listener.getsockname()[1])
    await uvicorn.Server(config).serve([listener])


async def connect(client: inngest.Inngest, programs: Functions, gateway: str) -> None:
    """Dial the server by way of ``gateway``; announced once it has taken the connection."""
    connection = inngest.connect.connect(
        [(client, programs)],
        instance_id=os.environ["BAKEOFF_INCARNATION"],
        rewrite_gateway_endpoint=lambda end: urlsplit(end)._replace(netloc=gateway).geturl(),
    )
    serving = asyncio.create_task(connection.start())
    await connection.wait_for_state(ConnectionState.ACTIVE)
    announce(connection=connection.get_connection_id())
    await serving


async def work(declare: Callable[[Pool], Functions]) -> None:
    """Serve what is declared for the pool, by the transport that the settings name."""
    settings = json.loads(sys.argv[2])
    shared = pool(sys.argv[1], settings)
    programs = declare(shared)
    if settings["connect"]:
        await connect(shared.client, programs, settings["connect"])
    else:
        await http(shared.client, programs)


if __name__ == "__main__":
    asyncio.run(work(functions))
