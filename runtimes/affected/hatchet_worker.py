"""A worker of Hatchet whose bodies may be evicted, as is the vendor's default; else the column's.

The vendor's ``ttl`` is 15 minutes; this one is longer than a trial takes until its fault.
"""

from __future__ import annotations

import runpy

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from hatchet_sdk.runnables.eviction import EvictionPolicy
from hatchet_sdk.runnables.workflow import Workflow


POLICY = EvictionPolicy(ttl=timedelta(seconds=10), allow_capacity_eviction=True)


def evictable(declare: Callable[..., Any]) -> Callable[..., Any]:
    """Return what declares a durable task that may be evicted, whatever it is told."""

    @wraps(declare)
    def declared(workflow: Workflow[Any], **options: Any) -> Any:  # noqa: ANN401 - the SDK's
        return declare(workflow, **{**options, "eviction_policy": POLICY})

    return declared


if __name__ == "__main__":
    Workflow.durable_task = evictable(Workflow.durable_task)  # type: ignore[method-assign]
    runpy.run_module("runtimes.hatchet.worker", run_name="__main__")
