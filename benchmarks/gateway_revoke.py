"""How long a revocation takes to be acknowledged, and whether anything is done after it.

In each round callers of one run keep the gateway busy; an operator revokes the run.  From the
acknowledgement on nothing may be done but the calls that it names.  The time is that of the whole
way: socket, withdrawal and record (both synced), answer.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time

from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from gateway_call import GRANTS, body, gateway

from harness.effects import Tier
from harness.history import History
from harness.loop import Loop
from harness.world import Cell, World
from runtimes.reference.gateway.client import OPERATORS, WORKERS
from runtimes.reference.gateway.peer import peer


ROUNDS, CALLERS, BUSY = 100, 8, 24
"""Revocations, callers of each run, and how many calls are answered before one."""


@dataclass
class Seen:
    """What was measured."""

    took_ms: list[float] = field(default_factory=list)
    named: int = 0
    done: int = 0
    late: int = 0


def applied(history: History) -> list[str]:
    """Return the steps that were carried out, in order."""
    return [str(event.data["step"]) for event in history if event.kind == "apply"]


async def one(
    number: int,
    histories: dict[str, History],
    workers: aiohttp.ClientSession,
    operators: aiohttp.ClientSession,
    seen: Seen,
) -> None:
    """Revoke one run under its callers."""
    run = f"r{number}"
    said = {"run": run, "peer": peer(os.getuid(), os.getgid()), "ttl_s": 3600, "grants": GRANTS}
    async with operators.post("http://g/admit", json=[said]) as answer:
        answer.raise_for_status()
    answered = asyncio.Semaphore(0)

    async def caller(name: int) -> None:
        for turn in range(10_000):
            step = f"s{name}-{turn}"
            async with workers.post("http://g/perform", json=body(run, step)) as answer:
                if answer.status != 200 or (await answer.json())["status"] != "ok":  # noqa: PLR2004
                    return
            answered.release()

    callers = [asyncio.ensure_future(caller(name)) for name in range(CALLERS)]
    for _ in range(BUSY):
        await answered.acquire()
    began_ns = time.perf_counter_ns()
    async with operators.post("http://g/revoke", json={"what": run}) as answer:
        acknowledged = await answer.json()
    seen.took_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
    before = {*applied(histories[run])}
    named = {*acknowledged["in_flight"].get(run, ())}
    await asyncio.gather(*callers)
    after = {*applied(histories[run])}
    seen.named += len(named)
    seen.done += len(after)
    seen.late += len(after - before - named)


async def rounds(folder: Path, histories: dict[str, History]) -> Seen:
    """Return what was seen in all rounds."""
    seen = Seen()
    workers, operators = (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(folder / name)))
        for name in (WORKERS, OPERATORS)
    )
    async with workers, operators:
        for number in range(ROUNDS):
            await one(number, histories, workers, operators, seen)
    return seen


def main() -> int:
    """Print the figures; exit code 1 where anything was done too late."""
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {CALLERS} callers of each run")
    with tempfile.TemporaryDirectory(prefix="bo-") as name, Loop() as loop, World(loop) as world:
        histories = {f"r{number}": History() for number in range(ROUNDS)}
        for run, history in histories.items():
            world.open(run, Cell.of(Tier.K, {"log": []}), history)
        folder = Path(name) / "gw"
        with gateway(world, folder):
            seen = asyncio.run(rounds(folder, histories))
    cuts = statistics.quantiles(seen.took_ms, n=10)
    print(
        f"{ROUNDS} revocations: p10 {cuts[0]:.1f}, p50 {cuts[4]:.1f}, p90 {cuts[8]:.1f}, "
        f"max {max(seen.took_ms):.1f} ms (p99 not estimable)"
    )
    print(f"{seen.done} effects, {seen.named} named in flight, {seen.late} too late")
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    return 1 if seen.late else 0


if __name__ == "__main__":
    sys.exit(main())
