"""The runs of a program: one durable task plays the body, one more is told if it has failed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from hatchet_sdk import Context, DurableContext, NonRetryableException
from hatchet_sdk.exceptions import IdempotencyCollisionError, TaskRunError

from harness.effects import Json
from harness.program import FailedError, ProgramError, play
from harness.runtime import Envelope
from harness.scenario import Program
from harness.worker import child_envelope
from runtimes.hatchet.ops import HatchetOps
from runtimes.hatchet.settings import TICK, start
from runtimes.hatchet.steps import Act, Input


if TYPE_CHECKING:
    from runtimes.hatchet.pool import Body, Pool


def playing(pool: Pool, program: Program) -> Body:
    """Return the durable task that plays a program's body."""

    async def body(told: Input, context: DurableContext) -> Input:
        envelope, arg = begun(told, program.name, context)
        ops = HatchetOps(pool, context, program.name, envelope, told["since"])
        try:
            return {"output": await play(program.body, arg, ops)}
        except (ProgramError, FailedError, TaskRunError) as error:
            raise NonRetryableException(str(error)) from error

    return body


def failing(pool: Pool, program: Program) -> Act:
    """Return the task that starts what a program has for its failure."""

    async def failed(told: Input, context: Context) -> Input:
        envelope, _ = begun(told, program.name, context)
        handler = child_envelope(envelope, "on_failure")
        errors = list(context.task_run_errors.values())
        arg: Json = {"run": envelope.run, "error": errors[0] if errors else ""}
        with suppress(IdempotencyCollisionError):  # it has been started before we died
            await pool.workflows[program.policy.on_failure].aio_run(
                start(handler.to_json(), arg, told["since"]),
                wait_for_result=False,
                child_key="on_failure",
                additional_metadata={"run": handler.run},
            )
        return {"handled": True}

    return failed


def begun(told: Input, program: str, context: Context) -> tuple[Envelope, Json]:
    """Return the envelope and the ``arg`` of a run, whoever started it."""
    envelope = Envelope.from_json(told["envelope"])
    if told.get("event"):
        return child_envelope(envelope, program), told["arg"]
    if told.get("cron"):
        moment = str(context.additional_metadata[TICK])
        tick = int(datetime.fromisoformat(moment).timestamp())
        return replace(envelope, run=f"{envelope.run}.{moment}"), {"tick": tick}
    return envelope, told["arg"]
