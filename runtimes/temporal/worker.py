"""The worker process of one pool: ``python -m runtimes.temporal.worker POOL``.

One dynamic workflow plays any program in Temporal's own terms; each step is an activity.
It runs without the SDK's sandbox: ``play`` already refuses what is not deterministic.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RawValue, RetryPolicy, WorkflowIDReusePolicy
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker

from harness.effects import Effect, Json, Op
from harness.program import Command, Emit, Invoke, One, Premise, ProgramError, Step, WaitFor, play
from harness.runtime import Envelope
from harness.worker import WorldClient, announce, child_envelope, gather_tasks, scenario
from runtimes.temporal.settings import Place


PLACE = Place.of_environment()
TIMERS = PLACE.timers
SCENARIO, WORLD = scenario(), WorldClient()
SLOTS = 2000
"""Above the runs that one worker is given, times the siblings of a gather."""
FOREVER = timedelta(seconds=TIMERS.step_s)
OPTIONS: workflow.ActivityConfig = {
    "start_to_close_timeout": FOREVER,
    "heartbeat_timeout": timedelta(seconds=TIMERS.heartbeat_s),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=TIMERS.retry_first_s),
        maximum_interval=timedelta(seconds=TIMERS.retry_most_s),
    ),
}
"""How every step is called."""


@workflow.defn(dynamic=True)
class Run:
    """One run of any program; its workflow type is the program's name."""

    def __init__(self) -> None:
        """Begin with no event: they may arrive before the run waits for them."""
        self.events: dict[str, Json] = {}
        self.armed: frozenset[str] = frozenset()

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Json:
        """Drive the body."""
        data: dict[str, Any] = workflow.payload_converter().from_payload(args[0].payload, dict)
        self.envelope = Envelope.from_json(data["envelope"])
        self.armed = frozenset(self.envelope.armed)
        body = SCENARIO.program(workflow.info().workflow_type).body
        return await play(body, data["arg"], self)

    @workflow.signal(name="bakeoff.event")
    def event(self, data: dict[str, Any]) -> None:
        """Keep an event until the run asks for it."""
        self.events.setdefault(f"{data['event']} {data['key']}", data["payload"])

    async def step(self, command: Step) -> dict[str, Json]:
        """Run the step as an activity whose type is the step's name."""
        reply: dict[str, Json] = await workflow.execute_activity(
            command.name,
            {"envelope": self.envelope.to_json(), "step": asdict(command)},
            **OPTIONS,
        )
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
        """Start the consumers as children that outlive this run."""
        for program in SCENARIO.consumers(command.event):
            name = f"{command.event}.{command.key}.{program.name}"
            detached = workflow.ParentClosePolicy.ABANDON
            await self._child(program.name, name, command.payload, detached)

    async def invoke(self, command: Invoke) -> Json:
        """Run a child and wait for its result; it ends with this run."""
        attached = workflow.ParentClosePolicy.TERMINATE
        child = await self._child(command.program, command.name, command.arg, attached)
        output: Json = await child
        return output

    async def _child(
        self, program: str, name: str, arg: Json, close: workflow.ParentClosePolicy
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        envelope = child_envelope(self.envelope, name)
        return await workflow.start_child_workflow(
            program,
            {"envelope": envelope.to_json(), "arg": arg},
            id=PLACE.id(envelope.run),
            task_timeout=timedelta(seconds=TIMERS.task_s),
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=close,
        )

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


async def report(envelope: Envelope, phase: str, name: str) -> None:
    """Report a phase from a local activity: the run stays inside its workflow task."""
    data = {"envelope": envelope.to_json(), "phase": phase, "name": name}
    await workflow.execute_local_activity(at, data, start_to_close_timeout=FOREVER)


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
    """Poll the pool's queue until asked to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(
        PLACE.target, namespace=PLACE.namespace, identity=WORLD.incarnation
    )
    worker = Worker(
        client,
        task_queue=PLACE.queue(sys.argv[1]),
        workflows=workflows,
        activities=[*activities, at],
        interceptors=interceptors,
        # An error of the program itself ends the run; any other keeps Temporal's own behaviour.
        workflow_failure_exception_types=[ProgramError],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=SLOTS,
        max_concurrent_workflow_tasks=SLOTS,
        max_concurrent_activities=SLOTS,
        max_concurrent_local_activities=SLOTS,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=TIMERS.sticky_s),
        max_heartbeat_throttle_interval=timedelta(seconds=TIMERS.throttle_s),
    )
    async with worker:
        announce()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(work([Run], [perform]))
