"""What a call costs through the gateway: against the same call of the bare provider.

The provider is the harness's world, which answers at once: what is left is the way there and what
the gateway does (two looks at a token, two synced records, one line of the audit).  Rounds of both
kinds alternate, so that a noisy machine hits each; a figure is in milliseconds.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from harness.effects import Tier
from harness.history import History
from harness.loop import Loop
from harness.world import Cell, World
from runtimes.reference.gateway.client import WORKERS, ask
from runtimes.reference.gateway.peer import peer


ROUNDS, EACH = 20, 20
GRANTS = [
    {"op": "append.irreversible", "target": "log"},
    {"op": "read.read", "target": "log"},
]


@contextmanager
def gateway(world: World, folder: Path) -> Iterator[None]:
    """Start a gateway before a world."""
    argv = [sys.executable, "-m", "runtimes.reference.gateway", "--folder", str(folder)]
    argv += ["--world", f"http://{world.address.host}:{world.address.port}", "--tier", "K"]
    env = {**os.environ, "BAKEOFF_INCARNATION": "bench"}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout  # noqa: S101 - it was asked for
            process.stdout.readline()
            yield
        finally:
            process.kill()


def body(run: str, step: str, op: str = "append") -> dict[str, Any]:
    """Return a step as a worker writes it."""
    effect = "read" if op == "read" else "irreversible"
    args = {"path": "log"} if op == "read" else {"path": "log", "value": 1}
    more = {"cell": run, "run": run, "step": step, "op": op, "effect": effect, "args": args}
    return {**more, "incarnation": "bench", "seq": 1}


async def timed(http: aiohttp.ClientSession, url: str, said: dict[str, Any]) -> float:
    """Return the milliseconds of one call."""
    began_ns = time.perf_counter_ns()
    async with http.post(url, json=said) as answer:
        reply = await answer.json()
    if reply["status"] != "ok":
        msg = f"expected ok, saw {reply}"
        raise AssertionError(msg)
    return (time.perf_counter_ns() - began_ns) / 1e6


async def compare(world: World, folder: Path) -> dict[str, list[float]]:
    """Return the times of each kind."""
    bare = f"http://{world.address.host}:{world.address.port}"
    took: dict[str, list[float]] = {}
    async with (
        aiohttp.ClientSession() as direct,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(folder / WORKERS))) as guarded,
    ):
        for number in range(ROUNDS):
            for kind, http, url, run in (
                ("bare", direct, bare, "bare"),
                ("gateway", guarded, "http://gateway", "kept"),
            ):
                for op in ("append", "read"):
                    times = took.setdefault(f"{op}, {kind}", [])
                    for turn in range(EACH):
                        said = body(run, f"{op}-{number}-{turn}", op)
                        times.append(await timed(http, f"{url}/perform", said))
                if kind == "gateway":
                    again = took.setdefault("answered from the log", [])
                    said = body(run, f"append-{number}-0")
                    again += [await timed(http, f"{url}/perform", said) for _ in range(EACH)]
    return took


def main() -> None:
    """Print the figures."""
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {ROUNDS} x {EACH} calls, ms")
    with tempfile.TemporaryDirectory(prefix="bo-") as name, Loop() as loop, World(loop) as world:
        for run in ("bare", "kept"):
            world.open(run, Cell.of(Tier.K, {"log": []}), History())
        folder = Path(name) / "gw"
        with gateway(world, folder):
            said = {"run": "kept", "peer": peer(os.getuid(), os.getgid()), "ttl_s": 3600}
            ask(folder, "/admit", [{**said, "grants": GRANTS}])
            took = asyncio.run(compare(world, folder))
    for kind, times in took.items():
        cuts = statistics.quantiles(times, n=10)
        print(f"{kind:<24} p50 {cuts[4]:7.2f}  p90 {cuts[8]:7.2f}  max {max(times):7.2f}")
    for op in ("append", "read"):
        ratio = statistics.median(took[f"{op}, gateway"]) / statistics.median(took[f"{op}, bare"])
        print(f"{op}: {ratio:.1f} bare calls")
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
