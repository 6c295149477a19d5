"""The worker process: ``python -m runtimes.embedded.worker POLICY FILE``."""

from __future__ import annotations

import asyncio
import sys

from pathlib import Path

from harness.worker import WorldClient, announce, scenario, worker_name
from runtimes.embedded.engine import Engine
from runtimes.embedded.ops import Policy
from runtimes.embedded.store import Store


async def work(engine: Engine) -> None:
    """Take over the pool's runs, then look again for each line on stdin, until it closes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    engine.store.take_over()
    engine.look()
    announce(worker=worker_name())
    while await reader.readline():
        engine.look()


def engine() -> Engine:
    """Return the engine that the command line asks for."""
    policy, path = sys.argv[1:3]
    return Engine(Store(Path(path)), scenario(), Policy(policy), WorldClient())


if __name__ == "__main__":
    asyncio.run(work(engine()))
