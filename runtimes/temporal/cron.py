"""Programs that the clock starts: Temporal's schedules, which live in the server."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from harness.runtime import Envelope
from runtimes.temporal.child import PLACE, SCENARIO, TASK, life


LEFT_OVER = timedelta(hours=1)
"""After which a schedule ends by itself: it would outlive its pool."""


async def schedule(client: Client, pool: str) -> None:
    """Create the schedules of a pool that do not exist yet."""
    for program in SCENARIO.programs:
        if not program.policy.cron:
            continue
        run, scale = f"{pool}.{program.name}", SCENARIO.time_scale
        envelope = Envelope(trial=pool, pool=pool, cell=pool, run=run, time_scale=scale)
        action = ScheduleActionStartWorkflow(
            program.name,
            {"envelope": envelope.to_json(), "arg": None, "cron": True},
            id=PLACE.id(run),
            task_queue=PLACE.queue(pool),
            task_timeout=TASK,
            execution_timeout=life(program.name),
        )
        # The seventh field is the year: with six of them the first would be the minute.
        crons = [f"{program.policy.cron} *"]
        spec = ScheduleSpec(cron_expressions=crons, end_at=datetime.now(UTC) + LEFT_OVER)
        policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL)
        with suppress(ScheduleAlreadyRunningError):
            await client.create_schedule(
                PLACE.id(run), Schedule(action=action, spec=spec, policy=policy)
            )
