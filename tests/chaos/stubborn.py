"""A reference whose workers outlive the harness: they do not mind that their stdin closed."""

import asyncio
import threading

from runtimes.embedded.worker import work
from runtimes.reference import worker
from runtimes.reference.adapter import ReferenceRuntime


STUBBORN = ReferenceRuntime(name="stubborn", argv=(__file__,))


if __name__ == "__main__":
    try:
        with worker.engine() as made:
            asyncio.run(work(made))
    finally:
        threading.Event().wait()
