"""The worker process of one pool: ``python -m runtimes.hatchet.worker POOL``.

The SDK makes two processes of it: this one runs the tasks, a *listener* child holds the stream
to the server and sends the heartbeats.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading

from collections.abc import Sequence

from harness.deadline import Deadline, wait_until
from harness.effects import Json
from harness.worker import announce
from runtimes.hatchet.pool import Pool


SLOTS = 2000
"""Above the runs that one worker is given, times the siblings of a gather."""
LISTENER_S = 60.0


def serve(pool: Pool, emulated: Sequence[str] = ()) -> None:
    """Serve what was added to a pool until asked to stop."""
    worker = pool.hatchet.worker(
        pool.world.incarnation,
        slots=SLOTS,
        durable_slots=SLOTS,
        workflows=list(pool.workflows.values()),
    )
    threading.Thread(target=tell, args=[[*emulated]], daemon=True).start()
    worker.start()


def tell(emulated: list[Json]) -> None:
    """Announce both processes once the second one is there."""
    wait_until(
        lambda: bool(multiprocessing.active_children()),
        Deadline.after(LISTENER_S),
        "the SDK has started its listener",
    )
    [listener] = multiprocessing.active_children()
    announce(parts={"parent": os.getpid(), "listener": listener.pid}, emulated=emulated)


def main() -> None:
    """Serve the programs of the scenario; what a policy needs beyond the engine is added."""
    pool = Pool(sys.argv[1])
    pool.portable()
    emulated: Sequence[str] = ()
    if any(program.policy.cancel_on for program in pool.scenario.programs):
        from runtimes.hatchet import emulated as more  # noqa: PLC0415 - only where it is used

        more.cancellers(pool.hatchet, pool.scenario.programs, pool.workflows)
        emulated = more.PRIMITIVES
    serve(pool, emulated)


if __name__ == "__main__":
    main()
