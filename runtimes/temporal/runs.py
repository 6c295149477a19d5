"""One dynamic workflow plays any program in Temporal's own terms; each step is an activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, is_cancelled_exception

from harness.effects import Json
from harness.program import (
    Command,
    Emit,
    FailedError,
    Invoke,
    One,
    ProgramError,
    Step,
    WaitFor,
    play,
)
from harness.runtime import Envelope
from harness.worker import gather_tasks
from runtimes.temporal.child import FOREVER, PLACE, SCENARIO, options, start_child
from runtimes.temporal.settings import EMULATIONS, EVENT, GATED, uses


if uses(SCENARIO) & EMULATIONS:
    from runtimes.temporal.emulated import around

TICK = "TemporalScheduledStartTime"


@workflow.defn(dynamic=True)
class Run:
    """One run of any program; its workflow type is the program's name."""

    def __init__(self) -> None:
        """Begin with no event: they may arrive before the run waits for them."""
        self.events: dict[str, Json] = {}
        self.armed: frozenset[str] = frozenset()
        self.policy = SCENARIO.program(workflow.info().workflow_type).policy

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Json:
        """Drive the body, once the policy lets it."""
        data: dict[str, Any] = workflow.payload_converter().from_payload(args[0].payload, dict)
        self.envelope, arg = Envelope.from_json(data["envelope"]), data["arg"]
        if data.get("cron"):
            self.envelope, arg = self._tick()
        self.armed = frozenset(self.envelope.armed)
        if self.policy.uses & GATED:
            arg = await around.admitted(self.policy, self.envelope, arg)
        body = SCENARIO.program(workflow.info().workflow_type).body
        if self.policy.on_failure:
            return await around.followed(self.policy, self.envelope, play(body, arg, self))
        return await play(body, arg, self)

    def _tick(self) -> tuple[Envelope, Json]:
        """Return what a run of the clock is given; its moment is its schedule's."""
        moment = workflow.info().search_attributes[TICK][0]
        assert isinstance(moment, datetime)  # noqa: S101 - of this attribute
        run = workflow.info().workflow_id.removeprefix(PLACE.prefix)
        return replace(self.envelope, run=run), {"tick": round(moment.timestamp())}

    @workflow.signal(name=EVENT)
    def event(self, data: dict[str, Any]) -> None:
        """Keep an event until the run asks for it."""
        self.events.setdefault(f"{data['event']} {data['key']}", data["payload"])

    async def step(self, command: Step) -> dict[str, Json]:
        """Run the step as an activity of its name; what fails for good is data."""
        try:
            reply: dict[str, Json] = await workflow.execute_activity(
                command.name,
                {"envelope": self.envelope.to_json(), "step": asdict(command)},
                **options(self.policy),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return {"status": "failed"}
        return reply

    async def at(self, phase: str, name: str) -> None:
        """Report a phase."""
        await report(self.envelope, phase, name)

    async def sleep(self, name: str, duration_s: float) -> None:
        """Sleep on a timer of the server."""
        await workflow.sleep(duration_s * self.envelope.time_scale, summary=name)

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        """Wait for the signal, or for the server's timer."""
        key, timeout_s = command.name, command.timeout_s * self.envelope.time_scale
        try:
            await workflow.wait_condition(lambda: key in self.events, timeout=timeout_s)
        except TimeoutError:
            return None
        return {"payload": self.events[key]}

    async def emit(self, command: Emit) -> None:
        """Tell whoever is concerned."""
        if uses(SCENARIO) & {"emit", "cancel_on"}:
            await around.fan_out(self.envelope, command)

    async def invoke(self, command: Invoke) -> Json:
        """Run a child and wait for its result; it ends with this run."""
        attached = workflow.ParentClosePolicy.TERMINATE
        child = await start_child(
            self.envelope, command.program, command.name, command.arg, attached
        )
        output: Json = await child
        return output

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        """Run commands side by side: Temporal's loop runs tasks in a fixed order."""
        return await gather_tasks(commands, one)

    async def now(self, name: str) -> float:
        """Return the time of the workflow task, which the history keeps."""
        del name
        return workflow.now().timestamp()

    async def draw(self, name: str) -> float:
        """Draw from the run's own seed, which the history keeps."""
        del name
        return workflow.random().random()


FAILURES = [ProgramError, FailedError]
"""What ends a run; any other error of a workflow keeps Temporal's own behaviour."""


async def report(envelope: Envelope, phase: str, name: str) -> None:
    """Report a phase from a local activity: the run stays inside its workflow task."""
    data = {"envelope": envelope.to_json(), "phase": phase, "name": name}
    await workflow.execute_local_activity("bakeoff.at", data, start_to_close_timeout=FOREVER)
