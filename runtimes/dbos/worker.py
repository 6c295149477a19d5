"""A worker of DBOS: all programs of the scenario as async workflows, in one process."""

import json
import os
import random
import signal
import time

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, cast

from dbos import DBOS, SetWorkflowID, StepOptions

from harness.effects import Json
from harness.program import Body, Emit, Invoke, Step, WaitFor, play
from harness.runtime import Envelope
from harness.worker import WorldClient, announce, child_envelope, gather_tasks, scenario
from runtimes.dbos.profiles import QUEUE


SETTINGS = json.loads(os.environ["BAKEOFF_DBOS"])
SCENARIO, WORLD = scenario(), WorldClient()
FLOWS: dict[str, Callable[[dict[str, Json], Json], Coroutine[Any, Any, Json]]] = {}


class DbosOps:
    """The commands of one run in the terms of DBOS."""

    def __init__(self, envelope: Envelope) -> None:
        """Take the envelope of the run."""
        self.armed, self.envelope = frozenset(envelope.armed), envelope

    async def step(self, command: Step) -> dict[str, Json]:
        """Call the world in one step; a lost reply fails it, and DBOS retries it."""
        options = cast("StepOptions", {**SETTINGS["step"], "name": command.name})
        return await DBOS.run_step_async(options, WORLD.perform, self.envelope, command)

    async def sleep(self, name: str, duration_s: float) -> None:
        """Sleep until a moment that DBOS records first."""
        del name
        await DBOS.sleep_async(duration_s * self.envelope.time_scale)

    async def emit(self, command: Emit) -> None:
        """Enqueue a run for each consumer."""
        for program in SCENARIO.consumers(command.event):
            name = f"{command.event}.{command.key}.{program.name}"
            child, flow = child_envelope(self.envelope, name), FLOWS[program.name]
            with SetWorkflowID(child.run):
                await DBOS.enqueue_workflow_async(QUEUE, flow, child.to_json(), command.payload)

    async def invoke(self, command: Invoke) -> Json:
        """Start a child here, on no queue: that is how ``inspect`` knows that it is awaited."""
        child, flow = child_envelope(self.envelope, command.name), FLOWS[command.program]
        with SetWorkflowID(child.run):
            handle = await DBOS.start_workflow_async(flow, child.to_json(), command.arg)
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


Flow = Callable[[Envelope, Any], Awaitable[Json]]


def played(body: Body) -> Flow:
    """Return the flow that plays a portable program."""
    return lambda envelope, arg: play(body, arg, DbosOps(envelope))


def register(name: str, flow: Flow) -> None:
    """Make a workflow of what is to run under a program's name."""

    @DBOS.workflow(name=name, max_recovery_attempts=SETTINGS["max_recovery_attempts"])
    async def run(envelope: dict[str, Json], arg: Json) -> Json:
        return await flow(Envelope.from_json(envelope), arg)

    FLOWS[name] = run


def serve(flows: Mapping[str, Flow]) -> None:
    """Launch DBOS, which takes over the executor's runs, and serve until killed."""
    DBOS(config=SETTINGS["config"])
    for name, flow in flows.items():
        register(name, flow)
    DBOS.launch()
    announce(executor=SETTINGS["config"]["executor_id"])
    signal.pause()


if __name__ == "__main__":
    serve({program.name: played(program.body) for program in SCENARIO.programs})
