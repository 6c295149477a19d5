"""A reference whose workers outlive the harness: they do not mind that their stdin closed."""

import asyncio
import threading

from harness.runtime import Guarantee, Kind
from runtimes.embedded import worker
from runtimes.embedded.adapter import EmbeddedRuntime


STUBBORN = EmbeddedRuntime(
    name="stubborn",
    policy="intent",
    guarantee=Guarantee.EFFECT_ONCE,
    kind=Kind.LIBRARY,
    argv=(__file__,),
)


if __name__ == "__main__":
    try:
        asyncio.run(worker.work(worker.engine()))
    finally:
        threading.Event().wait()
