"""The worker process: ``python -m runtimes.restate.worker POOL SETTINGS`` serves one pool."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import hypercorn.asyncio
import restate

from hypercorn.config import Config
from restate.serde import JsonSerde
from restate.server import install_shutdown_hook

from harness.effects import Json
from harness.program import Body, Command, Emit, Invoke, One, ProgramError, Step, WaitFor, play
from harness.runtime import Envelope
from harness.worker import WorldClient, announce, child_envelope, scenario
from runtimes.restate.profiles import STREAMS


POOL, SETTINGS = sys.argv[1], json.loads(sys.argv[2])
SCENARIO, WORLD = scenario(), WorldClient()
FOREVER = 1 << 31

Future = restate.RestateDurableFuture[Any]
RECORDED = restate.RunOptions[Any](serde=JsonSerde())

Flow = Callable[[restate.WorkflowContext, Envelope, Any], Awaitable[Json]]
FLOWS: dict[str, Flow] = {}
"""What is run under a program's name."""


def span(name: str) -> timedelta | None:
    """Return a timer of the profile; the server's own where it says nothing."""
    return timedelta(seconds=SETTINGS[name]) if name in SETTINGS else None


RUNS = restate.Workflow(
    f"bakeoff-{POOL}",
    inactivity_timeout=span("inactivity_timeout_s"),
    abort_timeout=span("abort_timeout_s"),
    invocation_retry_policy=restate.InvocationRetryPolicy(
        initial_interval=span("retry_initial_interval_s"),
        max_interval=span("retry_max_interval_s"),
    ),
)
"""The service of a pool: one workflow, whose input names the program."""


@RUNS.main(name="run")
async def main(context: restate.WorkflowContext, start: Any) -> Any:  # noqa: ANN401 - JSON
    """Carry out one attempt of a run."""
    envelope = Envelope.from_json(start["envelope"])
    return await FLOWS[start["program"]](context, envelope, start["arg"])


@RUNS.handler(name="deliver")
async def deliver(context: restate.WorkflowSharedContext, event: Any) -> None:  # noqa: ANN401
    """Resolve the promise that an event is waited for with."""
    promise: restate.DurablePromise[Any] = context.promise(event["name"])
    await promise.resolve({"payload": event["payload"]})


class RestateOps:
    """One attempt of a run.

    The SDK lets one coroutine at a time wait for the journal.  In a gather that is ``gather``
    itself, and its commands wait in ``_waiting`` for what it sees.
    """

    def __init__(self, context: restate.WorkflowContext, envelope: Envelope) -> None:
        """Serve an attempt."""
        self.armed = frozenset(envelope.armed)
        self._context, self._envelope = context, envelope
        self._waiting: dict[Future, asyncio.Future[Future]] | None = None
        self._sent: list[restate.SendHandle] = []

    async def _first(self, *futures: Future) -> Future:
        if self._waiting is None:
            return (await restate.wait_completed(*futures))[0][0]
        seen: asyncio.Future[Future] = asyncio.get_running_loop().create_future()
        self._waiting |= dict.fromkeys(futures, seen)
        return await seen

    async def _value(self, future: Future) -> Any:  # noqa: ANN401 - JSON
        await self._first(future)
        return await future

    def _timer(self, name: str, duration_s: float) -> Future:
        return self._context.sleep(timedelta(seconds=duration_s * self._envelope.time_scale), name)

    def _child(self, program: str, name: str, arg: Json) -> tuple[str, dict[str, Json]]:
        child = child_envelope(self._envelope, name)
        return child.run, {"envelope": child.to_json(), "program": program, "arg": arg}

    async def step(self, command: Step) -> dict[str, Json]:
        """Call the world inside a ``run`` block; a lost reply fails the attempt."""

        async def perform() -> dict[str, Json]:
            return await WORLD.perform(self._envelope, command)

        run = self._context.run_typed(command.name, perform, RECORDED)
        return dict(await self._value(run))

    async def sleep(self, name: str, duration_s: float) -> None:
        """Sleep by a timer of the server."""
        await self._value(self._timer(name, duration_s))

    async def emit(self, command: Emit) -> None:
        """Send to each consumer; the server holds it once it names the invocation."""
        for program in SCENARIO.consumers(command.event):
            name = f"{command.event}.{command.key}.{program.name}"
            run, start = self._child(program.name, name, command.payload)
            self._sent.append(self._context.workflow_send(main, run, start))
        if self._waiting is None:
            await self._named()

    async def _named(self) -> None:
        while self._sent:
            await self._sent.pop(0).invocation_id()

    async def invoke(self, command: Invoke) -> Json:
        """Call a child workflow."""
        run, start = self._child(command.program, command.name, command.arg)
        output: Json = await self._value(self._context.workflow_call(main, run, start))
        return output

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        """Wait for a durable promise of the workflow, or for a timer."""
        promise: Future = self._context.promise(f"{command.event}/{command.key}").value()
        timer = self._timer(command.name, command.timeout_s)
        return None if await self._first(promise, timer) is timer else dict(await promise)

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        """Begin all in order, then wait for whichever is recorded next."""
        self._waiting = {}
        tasks = [asyncio.ensure_future(one(command)) for command in commands]
        try:
            await asyncio.sleep(0)  # one turn of the loop: each task writes its commands, in order
            await self._named()
            while self._waiting:
                for future in (await restate.wait_completed(*self._waiting))[0]:
                    if not self._waiting[future].done():
                        self._waiting[future].set_result(future)
                self._waiting = {
                    future: seen for future, seen in self._waiting.items() if not seen.done()
                }
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            self._waiting = None

    async def now(self, name: str) -> float:
        """Record the worker's clock."""

        async def clock() -> float:
            return time.time()

        return float(await self._value(self._context.run_typed(name, clock, RECORDED)))

    async def draw(self, name: str) -> float:
        """Draw from the generator that Restate seeds by the invocation."""
        del name
        return self._context.random().random()

    async def at(self, phase: str, name: str) -> None:
        """Report a phase; the run's journal does not know of it."""
        await WORLD.at(self._envelope, phase, name)


def played(body: Body) -> Flow:
    """Return the flow that plays a portable program."""

    async def flow(context: restate.WorkflowContext, envelope: Envelope, arg: Any) -> Json:  # noqa: ANN401
        try:
            return await play(body, arg, RestateOps(context, envelope))
        except ProgramError as error:  # a retry would not mend the program
            raise restate.TerminalError(str(error)) from error

    return flow


async def serve() -> None:
    """Serve HTTP/2 on a free port; SIGTERM ends it, though the SDK takes the signal for itself."""
    stop = asyncio.Event()
    install_shutdown_hook(asyncio.get_running_loop(), stop.set)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.h2_max_concurrent_streams = STREAMS
    # By default hypercorn ends a connection after 1,000 requests, with all that is held on it.
    config.keep_alive_max_requests, config.keep_alive_timeout = FOREVER, float(FOREVER)
    announce(port=port)
    await hypercorn.asyncio.serve(restate.app([RUNS]), config, shutdown_trigger=stop.wait)


if __name__ == "__main__":
    FLOWS.update((program.name, played(program.body)) for program in SCENARIO.programs)
    asyncio.run(serve())
