"""What the world costs while it holds: CPU per second with 1,000 requests held."""

from __future__ import annotations

import asyncio
import json
import os
import time

from harness.deadline import Deadline, wait_until
from harness.effects import Tier
from harness.history import History
from harness.loop import Loop
from harness.world import Cell, World


HELD = 1_000
WATCHED_S = 5.0


async def call(port: int, run: str) -> bytes:
    """Send one request and wait for its answer."""
    body = json.dumps(
        {
            "cell": "c",
            "run": run,
            "step": "s",
            "op": "append",
            "effect": "irreversible",
            "args": {"path": "log", "value": run},
        }
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /perform HTTP/1.1\r\nHost: world\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n")
    writer.close()
    return answer


def main() -> None:
    """Hold, watch, release, and print."""
    with Loop() as loop, World(loop) as world, History() as history:
        world.open("c", Cell.of(Tier.O, {"log": []}), history)
        runs = [f"r{index}" for index in range(HELD)]
        for run in runs:
            world.arm("c", run, "s/before_effect#1")

        async def everyone() -> list[bytes]:
            return await asyncio.gather(*(call(world.address.port, run) for run in runs))

        began_s = time.monotonic()
        answers = asyncio.run_coroutine_threadsafe(everyone(), loop.asyncio)
        wait_until(
            lambda: sum(event.kind == "held" for event in history) == HELD,
            Deadline.after(60.0),
            "all are held",
        )
        held_s = time.monotonic() - began_s
        before_s = time.process_time()
        time.sleep(WATCHED_S)  # the duration that is measured
        idle = (time.process_time() - before_s) / WATCHED_S
        began_s = time.monotonic()
        for run in runs:
            world.release("c", run, "s/before_effect#1")
        good = sum(answer.startswith(b"HTTP/1.1 200") for answer in answers.result(60.0))
        print(f"load {os.getloadavg()}")
        print(f"{HELD} requests held after {held_s:.2f} s; {good} answered", end=" ")
        print(f"{time.monotonic() - began_s:.2f} s after their release")
        print(f"CPU while everything is held: {100 * idle:.2f} % of one core")


if __name__ == "__main__":
    main()
