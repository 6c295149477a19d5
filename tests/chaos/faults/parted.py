"""A worker of two processes: the parent runs the bodies, the listener hears of new work."""

import asyncio
import functools
import os
import subprocess
import sys

from dataclasses import dataclass

from harness.runtime import Guarantee, Kind
from harness.worker import announce
from runtimes.embedded import worker
from runtimes.embedded.adapter import EmbeddedRuntime


@dataclass(frozen=True, kw_only=True)
class PartedRuntime(EmbeddedRuntime):
    """An embedded runtime that names the processes of its worker."""

    parts: tuple[str, ...] = ("parent", "listener")


PARTED = PartedRuntime(
    name="parted", policy="memo", guarantee=Guarantee.MEMO, kind=Kind.LIBRARY, argv=(__file__,)
)


async def work() -> None:
    """Work, and go on with what was begun when nothing is heard any more."""
    await worker.work(worker.engine())
    await asyncio.Event().wait()


if __name__ == "__main__":
    with subprocess.Popen(["cat"], stdin=sys.stdin, stdout=subprocess.PIPE) as listener:
        os.dup2(listener.stdout.fileno(), sys.stdin.fileno())
        parts = {"parent": os.getpid(), "listener": listener.pid}
        worker.announce = functools.partial(announce, parts=parts)
        asyncio.run(work())
