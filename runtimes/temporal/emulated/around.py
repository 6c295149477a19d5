"""What goes on around the body of a run: before its turn, after its failure, at its events."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError, is_cancelled_exception

from harness.effects import Json
from harness.policy import Policy
from harness.program import Emit, FailedError, ProgramError
from harness.runtime import Envelope
from runtimes.temporal.child import PLACE, SCENARIO, start_child
from runtimes.temporal.settings import ADMIT, ASK, HAPPENED, cancels


DETACHED = workflow.ParentClosePolicy.ABANDON


async def admitted(policy: Policy, envelope: Envelope, arg: Json) -> Json:
    """Wait for the gate; return what the run is to be given.

    Raises:
        ApplicationError: nobody began it in time.

    """
    answers: list[Any] = []

    def admit(answer: Any) -> None:  # noqa: ANN401 - JSON
        answers.append(answer)

    workflow.set_signal_handler(ADMIT, admit)
    left_s = None
    if policy.start_timeout_s:
        waited_s = workflow.now() - workflow.info().start_time
        left_s = policy.start_timeout_s * envelope.time_scale - waited_s.total_seconds()
    gate = PLACE.gate(envelope.pool, workflow.info().workflow_type)
    ask = {"run": envelope.run, "arg": arg, "there": True}
    await workflow.get_external_workflow_handle(gate).signal(ASK, [ask])
    try:
        await workflow.wait_condition(lambda: bool(answers), timeout=left_s)
    except TimeoutError as error:
        msg = "nobody began it in time"
        raise ApplicationError(msg) from error
    answer: Json = answers[0]
    return answer


async def followed(policy: Policy, envelope: Envelope, playing: Awaitable[Json]) -> Json:
    """Return what a run returns; start its program's handler if it fails."""
    try:
        return await playing
    except (FailedError, ProgramError, ChildWorkflowError) as error:
        if not is_cancelled_exception(error):
            told: Json = {"run": envelope.run, "error": str(error)}
            await start_child(envelope, policy.on_failure, "on_failure", told, DETACHED)
        raise


async def fan_out(envelope: Envelope, sent: Emit) -> None:
    """Tell the gates of an event, and start its consumers as children that outlive this run."""
    name = f"{sent.event}.{sent.key}"
    told = {"event": sent.event, "id": f"{envelope.run}.{name}", "payload": sent.payload}
    for program in cancels(SCENARIO, sent.event):
        gate = workflow.get_external_workflow_handle(PLACE.gate(envelope.pool, program))
        await gate.signal(HAPPENED, told)
    for consumer in SCENARIO.consumers(sent.event):
        child = f"{name}.{consumer.name}"
        await start_child(envelope, consumer.name, child, sent.payload, DETACHED)
