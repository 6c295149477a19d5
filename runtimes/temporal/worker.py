"""The worker process of one pool: ``python -m runtimes.temporal.worker POOL``."""

from __future__ import annotations

import asyncio
import signal
import sys

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from harness.effects import Effect, Json, Op
from harness.program import Premise, ProgramError, Step
from harness.runtime import Envelope
from harness.worker import WorldClient, announce
from runtimes.temporal.settings import Place
from runtimes.temporal.workflow import Run


SLOTS = 2000
"""Above the runs that one worker is given, times the siblings of a gather."""


class Activities:
    """What the worker does outside of workflows."""

    def __init__(self) -> None:
        """Use one client of the world for all."""
        self._world = WorldClient()
        self._reports: dict[str, asyncio.Future[None]] = {}

    @activity.defn(dynamic=True)
    async def perform(self, args: Sequence[RawValue]) -> dict[str, Json]:
        """Call the world for a step; a lost reply fails the attempt, and the server retries.

        It heartbeats while it is held: a live worker must not be taken for a dead one.
        """
        data: dict[str, Any] = activity.payload_converter().from_payload(args[0].payload, dict)
        fields = data["step"]
        op = Op(fields["op"]["verb"], Effect(fields["op"]["effect"]))
        premises = tuple(Premise(**premise) for premise in fields["premises"])
        step = Step(**{**fields, "op": op, "premises": premises})
        envelope = Envelope.from_json(data["envelope"])
        return await self._world.perform(envelope, step, activity.heartbeat)

    @activity.defn(name="bakeoff.at")
    async def at(self, data: dict[str, Any]) -> None:
        """Report a phase, once in this process and until it is answered.

        A busy server may take the workflow task away meanwhile; the next attempt joins the
        report under way, so that a held run stays where it is held.
        """
        envelope = Envelope.from_json(data["envelope"])
        phase, name = str(data["phase"]), str(data["name"])
        key = f"{envelope.run} {phase} {name}"
        if key not in self._reports:
            self._reports[key] = asyncio.ensure_future(self._world.at(envelope, phase, name))
        await asyncio.shield(self._reports[key])

    @property
    def identity(self) -> str:
        """Return the incarnation, which the server shows as the poller's name."""
        return self._world.incarnation


async def work(pool: str) -> None:
    """Poll the pool's queue until asked to stop."""
    place, activities = Place.of_environment(), Activities()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(
        place.target, namespace=place.namespace, identity=activities.identity
    )
    worker = Worker(
        client,
        task_queue=place.queue(pool),
        workflows=[Run],
        activities=[activities.perform, activities.at],
        # An error of the program itself ends the run; any other keeps Temporal's own behaviour.
        workflow_failure_exception_types=[ProgramError],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=SLOTS,
        max_concurrent_workflow_tasks=SLOTS,
        max_concurrent_activities=SLOTS,
        max_concurrent_local_activities=SLOTS,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=place.timers.sticky_s),
        max_heartbeat_throttle_interval=timedelta(seconds=place.timers.throttle_s),
    )
    async with worker:
        announce()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
