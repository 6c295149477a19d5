"""What Hatchet has no declaration for, built from what it has: events that cancel runs.

Each rule is a task that its event starts.  It lists the runs of the program that have not ended
and cancels those whose ``arg`` matches.  The list may lag behind the engine: a run that was
started in the moment before the event may be missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hatchet_sdk import Context, Hatchet
from hatchet_sdk.clients.rest.models.v1_task_status import V1TaskStatus

from harness.policy import CancelOn
from harness.scenario import Program
from runtimes.hatchet.settings import OWN


PRIMITIVES = ("cancel_on", "cancel_previous")
GOES_ON = [V1TaskStatus.QUEUED, V1TaskStatus.RUNNING]
MOST = 1000
"""Runs in one list."""


def cancellers(hatchet: Hatchet, programs: Sequence[Program], workflows: dict[str, Any]) -> None:
    """Add a task for each rule of each program to ``workflows``."""
    for program in programs:
        for number, rule in enumerate(program.policy.cancel_on):
            name = f"{OWN}cancel.{program.name}.{number}"
            act = canceller(hatchet, program, rule, workflows[program.name])
            task = hatchet.task(name=name, on_events=[rule.event], input_validator=dict)
            workflows[name] = task(act)


def canceller(hatchet: Hatchet, program: Program, rule: CancelOn, workflow: Any) -> Any:  # noqa: ANN401 - the SDK's types are generic in the input
    """Return the body of the task of a rule."""

    async def cancel(told: dict[str, Any], context: Context) -> dict[str, Any]:
        del context
        mine = f"{told['envelope']['run']}.{program.name}"
        found = await hatchet.runs.aio_list(
            since=datetime.fromisoformat(told["since"]),
            statuses=GOES_ON,
            workflow_ids=[workflow.id],
            limit=MOST,
        )
        hit = [
            row.metadata.id
            for row in found.rows
            if rule.hits(rule.event, told["arg"], given(row.input).get("arg"))
            and run_of(given(row.input), program) != mine
        ]
        for ident in hit:
            await hatchet.runs.aio_cancel(ident)
        return {"cancelled": hit}

    return cancel


def given(data: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the input of a run as the REST list shows it."""
    inner = data.get("input", data) if isinstance(data, dict) else {}
    return inner if isinstance(inner, dict) else {}


def run_of(start: dict[str, Any], program: Program) -> str:
    """Return the id of the run that has this input."""
    run = str(start["envelope"]["run"])
    return f"{run}.{program.name}" if start.get("event") else run
