"""Servers of our own that stand in for a provider: a Python process that is told its part.

It is told on stdin, where no other process can read it, and says on stdout where it listens.
"""

from __future__ import annotations

import json
import os
import sys

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from harness.deadline import Deadline
from harness.effects import Json
from harness.process import Address, Process, Site, WorkerSpec


READY_S, GRACE_S = 30.0, 2.0


@contextmanager
def child(site: Site, name: str, module: str, part: Mapping[str, Json]) -> Iterator[Process]:
    """Start ``module`` with its part; it serves.

    Raises:
        ProcessError: it was not ready in time; with its last words.

    """
    process = site.runner.start(name, WorkerSpec(argv=[sys.executable, "-m", module]))
    try:
        process.send(part)
        process.announced(Deadline.after(READY_S))
        yield process
    finally:
        process.terminate(GRACE_S)


def told() -> dict[str, Any]:
    """Return the part of this process, in the child."""
    part = json.loads(sys.stdin.readline())
    assert isinstance(part, dict)  # noqa: S101 - what ``child`` has sent
    return part


def say() -> None:
    """Say that this process serves, in the child."""
    sys.stdout.write(json.dumps({"incarnation": os.environ["BAKEOFF_INCARNATION"]}) + "\n")
    sys.stdout.flush()


def address(part: Mapping[str, Any]) -> Address:
    """Return where to listen, in the child."""
    return Address(str(part["host"]), int(part["port"]))
