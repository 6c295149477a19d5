"""Providers that take anything twice, behind one address: those that the harness itself uses.

Writes its address to ``world.url`` and serves until Ctrl-C.  ``history.jsonl`` has each call.
"""

from __future__ import annotations

import signal

from contextlib import suppress
from pathlib import Path

from harness.effects import Tier
from harness.history import History
from harness.loop import Loop
from harness.world import Cell, World


with Loop() as loop, World(loop) as world, History(Path("history.jsonl")) as history:
    for order in ("order-1", "order-2"):
        world.open(order, Cell.of(Tier.O, {"payments": [], "inbox": []}), history)
    Path("world.url").write_text(f"http://{world.address}")
    print(f"world: {world.address}", flush=True)
    with suppress(KeyboardInterrupt):
        signal.pause()
