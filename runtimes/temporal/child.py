"""What the modules of a worker process share: its place, its scenario, how runs are started."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy

from harness.effects import Json
from harness.policy import Policy
from harness.runtime import Envelope
from harness.worker import WorldClient, child_envelope, scenario
from runtimes.temporal.settings import Place, life_s


PLACE = Place.of_environment()
TIMERS = PLACE.timers
SCENARIO, WORLD = scenario(), WorldClient()
SLOTS = 2000
"""Above the runs that one worker is given, times the siblings of a gather."""
FOREVER = timedelta(seconds=TIMERS.step_s)
TASK = timedelta(seconds=TIMERS.task_s)
OPTIONS: workflow.ActivityConfig = {
    "start_to_close_timeout": FOREVER,
    "heartbeat_timeout": timedelta(seconds=TIMERS.heartbeat_s),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=TIMERS.retry_first_s),
        maximum_interval=timedelta(seconds=TIMERS.retry_most_s),
        maximum_attempts=TIMERS.retry_attempts,
    ),
}
"""How every step is called, unless its program's policy says more."""


def real(duration_s: float) -> timedelta:
    """Return how long so many seconds of the scenario take."""
    return timedelta(seconds=duration_s * SCENARIO.time_scale)


def options(policy: Policy) -> workflow.ActivityConfig:
    """Return how the steps of a program are called."""
    found: workflow.ActivityConfig = {**OPTIONS}
    if policy.step_timeout_s:
        found["start_to_close_timeout"] = real(policy.step_timeout_s)
    if retry := policy.retry:
        found["retry_policy"] = RetryPolicy(
            initial_interval=real(retry.first_s),
            backoff_coefficient=retry.factor,
            maximum_interval=real(max(retry.max_s, retry.first_s)),
            maximum_attempts=retry.attempts,
        )
    return found


def life(program: str) -> timedelta | None:
    """Return after how long the server ends a run of a program, if ever."""
    policy = SCENARIO.program(program).policy
    return timedelta(seconds=life_s(policy, SCENARIO.time_scale, TIMERS)) or None


async def start_child(
    parent: Envelope, program: str, name: str, arg: Json, close: workflow.ParentClosePolicy
) -> workflow.ChildWorkflowHandle[Any, Any]:
    """Start a run as a child of the workflow that calls this; its id is derived from ours."""
    envelope = child_envelope(parent, name)
    return await workflow.start_child_workflow(
        program,
        {"envelope": envelope.to_json(), "arg": arg},
        id=PLACE.id(envelope.run),
        task_timeout=TASK,
        execution_timeout=life(program),
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        parent_close_policy=close,
    )
