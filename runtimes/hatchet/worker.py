"""The worker process of one pool: ``python -m runtimes.hatchet.worker POOL``.

The SDK makes two processes of it: this one runs the tasks, a *listener* child holds the stream
to the server and sends the heartbeats.  Each program is a workflow with one durable task that
plays its body; each step is a child task, whose key is the step's name.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import sys
import threading
import time

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hatchet_sdk import Context, DurableContext, Hatchet, NonRetryableException
from hatchet_sdk.exceptions import IdempotencyCollisionError, TaskRunError

from harness.deadline import Deadline, wait_until
from harness.effects import Effect, Json, Op
from harness.program import FailedError, Premise, ProgramError, Step, play
from harness.runtime import Envelope
from harness.scenario import Program
from harness.worker import WorldClient, announce, child_envelope, scenario
from runtimes.hatchet.declared import body_options, step_options, workflow_options
from runtimes.hatchet.ops import HatchetOps, Input
from runtimes.hatchet.settings import BODY, EMIT, RECORD, STEP, TICK, Place, start


SLOTS = 2000
"""Above the runs that one worker is given, times the siblings of a gather."""
LISTENER_S = 60.0


class Pool:
    """What one worker process serves."""

    def __init__(self, name: str) -> None:
        """Connect; everything else is in the environment."""
        self.name = name
        self.hatchet = Hatchet()
        self.place = Place.of_environment()
        self.scenario = scenario()
        self.world = WorldClient()
        self.workflows: dict[str, Any] = {}

    def serve(self) -> None:
        """Register everything and serve until asked to stop."""
        self.workflows[EMIT] = self._task(EMIT, self.emit)
        self.workflows[RECORD] = self._task(RECORD, self.record)
        for program in self.scenario.programs:
            self.workflows[program.name] = self._workflow(program)
            name = f"{STEP}.{program.name}"
            options = step_options(program.policy, self.place.timers, self.scenario.time_scale)
            refresh_s = 0 if program.policy.step_timeout_s else self.place.timers.refresh_s
            self.workflows[name] = self._task(name, self._perform(refresh_s), **options)
        emulated: list[Json] = []
        if any(program.policy.cancel_on for program in self.scenario.programs):
            from runtimes.hatchet import emulated as more  # noqa: PLC0415 - only where it is used

            more.cancellers(self.hatchet, self.scenario.programs, self.workflows)
            emulated = list(more.PRIMITIVES)
        worker = self.hatchet.worker(
            self.world.incarnation,
            slots=SLOTS,
            durable_slots=SLOTS,
            workflows=list(self.workflows.values()),
        )
        threading.Thread(target=tell, args=[emulated], daemon=True).start()
        worker.start()

    def _task(self, name: str, act: Callable[..., Awaitable[Input]], **options: Any) -> Any:  # noqa: ANN401 - the SDK's decorators are generic in the function
        given = options or step_options(None, self.place.timers, 1.0)
        return self.hatchet.task(name=name, input_validator=dict, **given)(act)

    def _workflow(self, program: Program) -> Any:  # noqa: ANN401 - as above
        scale, timers = self.scenario.time_scale, self.place.timers
        options = workflow_options(self.name, program, scale, self.place.since)
        workflow = self.hatchet.workflow(name=program.name, input_validator=dict, **options)

        async def body(told: Input, context: DurableContext) -> Input:
            envelope, arg = begun(told, program.name, context)
            ops = HatchetOps(self, context, program.name, envelope, told["since"])
            try:
                return {"output": await play(program.body, arg, ops)}
            except (ProgramError, FailedError, TaskRunError) as error:
                raise NonRetryableException(str(error)) from error

        async def failed(told: Input, context: Context) -> Input:
            envelope, _ = begun(told, program.name, context)
            handler = child_envelope(envelope, "on_failure")
            errors = list(context.task_run_errors.values())
            arg: Json = {"run": envelope.run, "error": errors[0] if errors else ""}
            with suppress(IdempotencyCollisionError):  # it has been started before we died
                await self.workflows[program.policy.on_failure].aio_run(
                    start(handler.to_json(), arg, told["since"]),
                    wait_for_result=False,
                    child_key="on_failure",
                    additional_metadata={"run": handler.run},
                )
            return {"handled": True}

        given = body_options(program, timers, scale, self.name)
        workflow.durable_task(name=BODY, eviction_policy=None, **given)(body)
        if program.policy.on_failure:
            given = step_options(None, timers, scale)
            workflow.on_failure_task(name="failed", **given)(failed)
        return workflow

    def _perform(self, refresh_s: int) -> Callable[..., Awaitable[Input]]:
        async def perform(call: Input, context: Context) -> Input:
            """Call the world; while it has not answered, the attempt's timeout moves on."""
            fields = call["step"]
            op = Op(fields["op"]["verb"], Effect(fields["op"]["effect"]))
            premises = tuple(Premise(**premise) for premise in fields["premises"])
            step = Step(**{**fields, "op": op, "premises": premises})
            envelope = Envelope.from_json(call["envelope"])
            moved_s, tasks = time.monotonic(), set()

            def beat() -> None:
                nonlocal moved_s
                if refresh_s and time.monotonic() - moved_s >= refresh_s:
                    moved_s += refresh_s
                    moving = context.aio_refresh_timeout(timedelta(seconds=refresh_s))
                    tasks.add(asyncio.ensure_future(moving))

            return await self.world.perform(envelope, step, beat)

        return perform

    async def emit(self, call: Input, context: Context) -> Input:
        """Push an event: the server starts what consumes it."""
        del context
        await self.hatchet.event.aio_push(call["event"], call["payload"])
        return {"pushed": True}

    async def record(self, call: Input, context: Context) -> Input:
        """Return the moment and a random number, which the server keeps."""
        del call, context
        return {"now": time.time(), "draw": random.random()}  # noqa: S311 - no secret


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


def tell(emulated: list[Json]) -> None:
    """Announce both processes once the second one is there."""
    wait_until(
        lambda: bool(multiprocessing.active_children()),
        Deadline.after(LISTENER_S),
        "the SDK has started its listener",
    )
    [listener] = multiprocessing.active_children()
    announce(parts={"parent": os.getpid(), "listener": listener.pid}, emulated=emulated)


if __name__ == "__main__":
    Pool(sys.argv[1]).serve()
