"""The worker of the hand-written workflows: ``python -m runtimes.temporal.native.worker POOL``.

Workflows and activities know nothing of the harness.  An interceptor, as users have for
tracing, carries a run's envelope to its activities and reports the points that it is held at.
"""

from __future__ import annotations

import asyncio

from typing import Any, cast

from temporalio import activity, workflow
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from harness.program import AFTER_ACK, FINALIZE
from harness.runtime import Envelope
from runtimes.support.port import RUN, calling, ended, recorded
from runtimes.temporal.child import WORLD
from runtimes.temporal.native.fan_out import Fulfil
from runtimes.temporal.native.migration import Migrate
from runtimes.temporal.native.steps import ACTIVITIES
from runtimes.temporal.native.webhook import Dispatch
from runtimes.temporal.runs import report
from runtimes.temporal.worker import work


HEADER = "bakeoff"


class Calls(WorkflowOutboundInterceptor):
    """What a workflow calls: its activities."""

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002 - the SDK's name
        """Send the envelope with it, and report its end where that is asked for."""
        name = str(input.activity_id)
        data = {"envelope": RUN.get().to_json(), "step": name}
        input.headers = {**input.headers, HEADER: workflow.payload_converter().to_payload(data)}
        handle = super().start_activity(input)
        if not recorded(name):
            return handle

        async def reported() -> Any:  # noqa: ANN401 - as varied as activities
            result = await handle
            await report(RUN.get(), AFTER_ACK, name)
            return result

        return cast("workflow.ActivityHandle[Any]", asyncio.ensure_future(reported()))


class Runs(WorkflowInboundInterceptor):
    """What calls a workflow: the harness, with an envelope around the argument."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        """Stand between the workflow and its activities."""
        super().init(Calls(outbound))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002, ANN401
        """Open the envelope."""
        RUN.set(Envelope.from_json(input.args[0]["envelope"]))
        input.args = [input.args[0]["arg"]]
        output = await super().execute_workflow(input)
        if ended():
            await report(RUN.get(), FINALIZE, "")
        return output


class Effects(ActivityInboundInterceptor):
    """What calls an activity."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401
        """Let it know its step; the reports of ``at`` are none."""
        if HEADER not in input.headers:
            return await super().execute_activity(input)
        data = activity.payload_converter().from_payload(input.headers[HEADER], dict)
        envelope = Envelope.from_json(data["envelope"])
        with calling(WORLD, envelope, data["step"], activity.heartbeat):
            return await super().execute_activity(input)


class Harness(Interceptor):
    """All of them."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap an activity."""
        return Effects(next)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[WorkflowInboundInterceptor]:
        """Wrap a workflow."""
        del input
        return Runs


if __name__ == "__main__":
    asyncio.run(work([Migrate, Fulfil, Dispatch], ACTIVITIES, [Harness()]))
