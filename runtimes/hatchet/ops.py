"""The commands of a program in Hatchet's terms: one durable task plays the body.

The server numbers what a durable task asks of it and expects the same order after a death.  So
each command asks exactly once, whatever it is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hatchet_sdk import DurableContext, SleepCondition, UserEventCondition, or_
from hatchet_sdk.exceptions import TaskRunError

from harness.effects import Json
from harness.program import Command, Emit, Invoke, One, Step, WaitFor
from harness.runtime import Envelope
from harness.worker import child_envelope, gather_tasks
from runtimes.hatchet.settings import BODY, EMIT, RECORD, STEP, start, whole_s


if TYPE_CHECKING:
    from runtimes.hatchet.pool import Pool


Input = dict[str, Any]


class HatchetOps:
    """One attempt of a run."""

    def __init__(
        self, pool: Pool, context: DurableContext, program: str, envelope: Envelope, since: str
    ) -> None:
        """Serve an attempt; ``since`` is before any event that the run may wait for."""
        self.armed = frozenset(envelope.armed)
        self._pool, self._context, self._program = pool, context, program
        self._envelope, self._since = envelope, since

    async def _call(self, task: str, name: str, call: Input) -> Input:
        run: Input = await self._pool.workflows[task].aio_run(
            call, child_key=name, additional_metadata={"run": "", "step": name}
        )
        return run

    async def step(self, command: Step) -> dict[str, Json]:
        """Run the step as a child task; what fails for good is data."""
        call = {"envelope": self._envelope.to_json(), "step": asdict(command)}
        try:
            return await self._call(f"{STEP}.{self._program}", command.name, call)
        except TaskRunError:
            return {"status": "failed"}

    async def at(self, phase: str, name: str) -> None:
        """Report a phase; the run's log does not know of it."""
        await self._pool.world.at(self._envelope, phase, name)

    async def sleep(self, name: str, duration_s: float) -> None:
        """Sleep by a timer of the server, in whole seconds."""
        real_s = whole_s(duration_s * self._envelope.time_scale)
        await self._context.aio_sleep_for(timedelta(seconds=real_s), label=name)

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        """Wait for an event of this run's scope, also for one sent before, or for a timer."""
        real_s = whole_s(command.timeout_s * self._envelope.time_scale)
        event = UserEventCondition(
            command.name,
            scope=self._envelope.run,
            readable_data_key="event",
            consider_events_since=datetime.fromisoformat(self._since),
        )
        timer = SleepCondition(timedelta(seconds=real_s), readable_data_key="timer")
        told = await self._context.aio_wait_for(command.name, or_(event, timer), label=command.name)
        events = told["CREATE"].get("event")
        return {"payload": events[0]["payload"]} if events else None

    async def emit(self, command: Emit) -> None:
        """Push the event from a task of its own, so that it is pushed again only in doubt."""
        envelope = child_envelope(self._envelope, f"{command.event}.{command.key}")
        payload = start(envelope.to_json(), command.payload, self._since)
        call = {"event": command.event, "payload": {**payload, "event": True}}
        await self._call(EMIT, command.name, call)

    async def invoke(self, command: Invoke) -> Json:
        """Run a child workflow."""
        envelope = child_envelope(self._envelope, command.name)
        told: Input = await self._pool.workflows[command.program].aio_run(
            start(envelope.to_json(), command.arg, self._since),
            child_key=command.name,
            additional_metadata={"run": envelope.run},
        )
        output: Json = told.get(BODY, told)["output"]
        return output

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        """Run commands side by side: tasks are begun in order, and each asks once."""
        return await gather_tasks(commands, one)

    async def now(self, name: str) -> float:
        """Return the moment at which a child task ran."""
        return float((await self._call(RECORD, name, {"name": name}))["now"])

    async def draw(self, name: str) -> float:
        """Return what a child task drew."""
        return float((await self._call(RECORD, name, {"name": name}))["draw"])
