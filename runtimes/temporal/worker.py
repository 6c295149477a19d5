"""The worker process of one pool: ``python -m runtimes.temporal.worker POOL``."""

from __future__ import annotations

import asyncio
import signal
import sys

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker

from harness.effects import Effect, Json, Op
from harness.program import Premise, Step
from harness.runtime import Envelope
from harness.worker import announce, worker_name
from runtimes.temporal.child import PLACE, SCENARIO, SLOTS, TIMERS, WORLD
from runtimes.temporal.cron import schedule
from runtimes.temporal.runs import FAILURES, Run
from runtimes.temporal.settings import GATED, uses


@activity.defn(dynamic=True)
async def perform(args: Sequence[RawValue]) -> dict[str, Json]:
    """Call the world for a step; a lost reply fails the attempt, and the server retries.

    It heartbeats while it is held: a live worker must not be taken for a dead one.
    """
    data: dict[str, Any] = activity.payload_converter().from_payload(args[0].payload, dict)
    fields = data["step"]
    op = Op(fields["op"]["verb"], Effect(fields["op"]["effect"]))
    premises = tuple(Premise(**premise) for premise in fields["premises"])
    step = Step(**{**fields, "op": op, "premises": premises})
    return await WORLD.perform(Envelope.from_json(data["envelope"]), step, activity.heartbeat)


REPORTS: dict[str, asyncio.Future[None]] = {}


@activity.defn(name="bakeoff.at")
async def at(data: dict[str, Any]) -> None:
    """Report a phase, once in this process and until it is answered.

    A busy server may take the workflow task away meanwhile; the next attempt joins the
    report under way, so that a held run stays where it is held.
    """
    envelope = Envelope.from_json(data["envelope"])
    phase, name = str(data["phase"]), str(data["name"])
    key = f"{envelope.run} {phase} {name}"
    if key not in REPORTS:
        REPORTS[key] = asyncio.ensure_future(WORLD.at(envelope, phase, name))
    await asyncio.shield(REPORTS[key])


async def work(
    workflows: Sequence[type],
    activities: Sequence[Callable[..., Any]],
    interceptors: Sequence[Interceptor] = (),
) -> None:
    """Poll the pool's queue until asked to stop; ``play`` does what the SDK's sandbox would."""
    pool = sys.argv[1]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    name = worker_name()
    client = await Client.connect(PLACE.target, namespace=PLACE.namespace, identity=name)
    if uses(SCENARIO) & GATED:
        from runtimes.temporal.emulated import gate  # noqa: PLC0415 - only where it is used

        await gate.open_gates(client, pool)
        workflows, activities = [*workflows, gate.Gate], [*activities, gate.closed]
    await schedule(client, pool)
    worker = Worker(
        client,
        task_queue=PLACE.queue(pool),
        workflows=workflows,
        activities=[*activities, at],
        interceptors=interceptors,
        workflow_failure_exception_types=FAILURES,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=SLOTS,
        max_concurrent_workflow_tasks=SLOTS,
        max_concurrent_activities=SLOTS,
        max_concurrent_local_activities=SLOTS,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=TIMERS.sticky_s),
        max_heartbeat_throttle_interval=timedelta(seconds=TIMERS.throttle_s),
    )
    async with worker:
        announce(worker=name)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(work([Run], [perform]))
