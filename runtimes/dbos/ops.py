"""The commands of a program in the terms of DBOS, and how a run asks for others."""

from __future__ import annotations

import json
import os
import random
import time

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from dbos import (
    DBOS,
    Debouncer,
    EnqueueOptions,
    SetWorkflowID,
    SetWorkflowTimeout,
    StepOptions,
    WorkflowHandleAsync,
)
from dbos import error as errors

from harness.effects import Json
from harness.policy import Policy
from harness.program import Emit, Invoke, Step, WaitFor
from harness.runtime import Envelope
from harness.scenario import Program
from harness.worker import WorldClient, child_envelope, gather_tasks, scenario
from runtimes.dbos.starts import QUEUE, debounce, happened, heard, options, queue, step_options


Handle = WorkflowHandleAsync[Json]
Flow = Callable[[Envelope, Any], Awaitable[Json]]
Ask = Callable[[Program, Envelope, Json], Awaitable[Handle | None]]

SETTINGS = json.loads(os.environ["BAKEOFF_DBOS"])
SCENARIO, WORLD = scenario(), WorldClient()
FLOWS: dict[str, Callable[[dict[str, Json], Json], Coroutine[Any, Any, Json]]] = {}
"""The programs as workflows."""
ASKS: dict[str, Ask] = {}
"""How to ask for runs of the programs that DBOS has no option for."""


def workflow(name: str) -> Callable[[Any], Any]:
    """Return what makes a workflow of a function."""
    return DBOS.workflow(name=name, max_recovery_attempts=SETTINGS["max_recovery_attempts"])


async def ask(program: Program, envelope: Envelope, arg: Json) -> Handle | None:
    """Ask for a run as its policy says; nothing is returned where there will be none."""
    return await ASKS.get(program.name, enqueue)(program, envelope, arg)


async def enqueue(program: Program, envelope: Envelope, arg: Json) -> Handle:
    """Put a run into the queue of its program; it may be merged with one that is there."""
    scale, given = SCENARIO.time_scale, envelope.to_json()
    if calm := debounce(program, arg, scale):
        debouncer = Debouncer[..., Json](
            program.name, debounce_timeout_sec=calm["most_s"], queue=queue(program)
        )
        return await debouncer.debounce_async(calm["key"], calm["period_s"], given, arg)
    return await put(options(program, envelope.run, arg, scale), given, arg)


async def put(chosen: Mapping[str, Any], *args: Any) -> Handle:  # noqa: ANN401 - JSON
    """Enqueue a workflow, which does not share the time limit of the one that asks."""
    with SetWorkflowTimeout(None):
        return await DBOS.enqueue_workflow_with_options_async(cast("EnqueueOptions", chosen), *args)


def limited(policy: Policy) -> AbstractContextManager[object]:
    """Return what limits the time of the workflow that is started next."""
    limit_s = policy.finish_timeout_s
    return SetWorkflowTimeout(limit_s * SCENARIO.time_scale) if limit_s else nullcontext()


class DbosOps:
    """One execution of a run."""

    def __init__(self, envelope: Envelope, policy: Policy) -> None:
        """Take what the run was started with."""
        self.armed, self.envelope, self.policy = frozenset(envelope.armed), envelope, policy

    async def step(self, command: Step) -> dict[str, Json]:
        """Call the world in one step; a lost reply fails it, and DBOS retries it.

        Where the policy says how often, attempts that are used up are an answer.
        """
        scale = self.envelope.time_scale
        chosen = step_options(self.policy, SETTINGS["step"], command.name, scale)
        try:
            return await DBOS.run_step_async(
                cast("StepOptions", chosen), WORLD.perform, self.envelope, command
            )
        except errors.DBOSMaxStepRetriesExceeded:
            if self.policy.retry is None:
                raise
            return {"status": "failed"}

    async def sleep(self, name: str, duration_s: float) -> None:
        """Sleep until a moment that DBOS records first."""
        del name
        await DBOS.sleep_async(duration_s * self.envelope.time_scale)

    async def emit(self, command: Emit) -> None:
        """Enqueue the workflow of the event, if anybody hears it."""
        if heard(SCENARIO, command.event):
            sender = self.envelope.to_json()
            event = happened(sender, command.event, command.key, command.payload)
            await put(event["options"], *event["args"])

    async def invoke(self, command: Invoke) -> Json:
        """Start a child and wait for it; one without a queue of its own begins here, at once.

        That it is not on the queue of all runs is how ``inspect`` knows that it is awaited.
        """
        child, program = (
            child_envelope(self.envelope, command.name),
            SCENARIO.program(command.program),
        )
        handle: Handle | None
        if program.name in ASKS or queue(program) != QUEUE:
            handle = await ask(program, child, command.arg)
        else:
            with SetWorkflowID(child.run), limited(program.policy):
                handle = await DBOS.start_workflow_async(
                    FLOWS[program.name], child.to_json(), command.arg
                )
        if handle is None:
            return None
        return await handle.get_result(polling_interval_sec=SETTINGS["result_poll_s"])

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        """Receive a message of the topic, which may have been sent before."""
        topic = f"{command.event} {command.key}"
        timeout_s = command.timeout_s * self.envelope.time_scale
        return cast("dict[str, Json] | None", await DBOS.recv_async(topic, timeout_s))

    # Tasks are safe: each draws its step number before it first waits, so in their order.
    gather = staticmethod(gather_tasks)

    async def now(self, name: str) -> float:
        """Read the clock in a step."""
        return await DBOS.run_step_async({"name": name}, time.time)

    async def draw(self, name: str) -> float:
        """Draw in a step."""
        return await DBOS.run_step_async({"name": name}, random.random)

    async def at(self, phase: str, name: str) -> None:
        """Report a phase from the body of the workflow."""
        await WORLD.at(self.envelope, phase, name)
