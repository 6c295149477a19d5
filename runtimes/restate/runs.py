"""The services of a pool that every worker has, and what they share.

One workflow for all programs, whose input names one; and a virtual object for what must go one
after another: the turns of runs of a key, the events of a run.
"""

from __future__ import annotations

import json
import sys

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import restate

from restate.serde import JsonSerde

from harness.effects import Json
from harness.runtime import Envelope
from harness.worker import WorldClient, scenario


POOL, SETTINGS = sys.argv[1], json.loads(sys.argv[2])
SCENARIO, WORLD = scenario(), WorldClient()
STOPPED = 409
"""The code of a run that was cancelled."""

Future = restate.RestateDurableFuture[Any]
RECORDED = restate.RunOptions[Any](serde=JsonSerde())

Flow = Callable[[restate.WorkflowContext, Envelope, Any], Awaitable[Json]]
FLOWS: dict[str, Flow] = {}
"""What is run under a program's name."""


def span(name: str) -> timedelta | None:
    """Return a timer of the profile; the server's own where it says nothing."""
    return timedelta(seconds=SETTINGS[name]) if name in SETTINGS else None


TIMERS: dict[str, Any] = {
    "inactivity_timeout": span("inactivity_timeout_s"),
    "abort_timeout": span("abort_timeout_s"),
    "invocation_retry_policy": restate.InvocationRetryPolicy(
        initial_interval=span("retry_initial_interval_s"),
        max_interval=span("retry_max_interval_s"),
    ),
}
RUNS = restate.Workflow(f"bakeoff-{POOL}", **TIMERS)
QUEUE = restate.VirtualObject(f"bakeoff-{POOL}.queue", **TIMERS)
SERVICES = (RUNS, QUEUE)


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


def started(envelope: Envelope, program: str, arg: Json) -> dict[str, Json]:
    """Return the input of a run."""
    return {"envelope": envelope.to_json(), "program": program, "arg": arg}


def identity(context: restate.WorkflowContext) -> dict[str, Any]:
    """Return the names of the run that a context is of: ours, and the server's."""
    return {"run": context.key(), "id": context.request().id}


async def in_turn(context: restate.WorkflowContext, key: str) -> None:
    """Return when it is the run's turn; it lasts until the run has ended."""
    context.object_send(turn, key, identity(context))
    await context.promise("turn").value()


@QUEUE.handler(name="post")
async def post(context: restate.ObjectContext, event: Any) -> None:  # noqa: ANN401 - JSON
    """Deliver the events of a run in their order: the first of a key counts."""
    with suppress(restate.TerminalError):
        await context.workflow_call(deliver, context.key(), event)


@QUEUE.handler(name="turn")
async def turn(context: restate.ObjectContext, one: Any) -> None:  # noqa: ANN401 - JSON
    """Let a run begin and stay until it has ended: the server calls the turns of a key singly."""
    context.workflow_send(deliver, one["run"], {"name": "turn", "payload": None})
    with suppress(restate.TerminalError):
        await context.attach_invocation(one["id"], serde=JsonSerde())
