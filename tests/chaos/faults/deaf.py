"""Runs the version of the program that it likes: the first one, whatever it was started for."""

import asyncio
import os

from harness.runtime import Guarantee, Kind
from runtimes.embedded import worker
from runtimes.embedded.adapter import EmbeddedRuntime


DEAF = EmbeddedRuntime(
    name="deaf", policy="memo", guarantee=Guarantee.MEMO, kind=Kind.LIBRARY, argv=(__file__,)
)


if __name__ == "__main__":
    os.environ.pop("BAKEOFF_VERSION", None)
    asyncio.run(worker.work(worker.engine()))
