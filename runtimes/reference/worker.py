"""The worker process of the reference: ``python -m runtimes.reference.worker POLICY FILE``."""

from __future__ import annotations

import asyncio
import os
import sys

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.effects import Tier
from harness.worker import WorldClient, scenario, worker_name
from runtimes.embedded.store import Store
from runtimes.embedded.worker import work
from runtimes.reference.collector import seldom
from runtimes.reference.effect_log.folder import effect_log
from runtimes.reference.engine import ReferenceEngine, effects


@contextmanager
def engine() -> Iterator[ReferenceEngine]:
    """Lend the engine that the command line asks for."""
    path, world, tier = Path(sys.argv[2]), WorldClient(), Tier(os.environ["BAKEOFF_TIER"])
    with effect_log(effects(path), worker_name()) as log:
        yield ReferenceEngine(Store(path, durable=True), scenario(), world, log, tier)


if __name__ == "__main__":
    seldom()
    with engine() as made:
        asyncio.run(work(made))
