"""What the server says of a run, in the harness's words."""

from __future__ import annotations

import json

from collections.abc import Mapping, Sequence
from typing import Any

from harness.runtime import RunView


Node = Mapping[str, Any]
"""A run, as GraphQL shows it."""
Job = Mapping[str, Any]
"""An item of the server's queue that belongs to a run."""

ENDS = {
    "COMPLETED": "completed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "SKIPPED": "cancelled",
}
WAITS = frozenset({"sleep", "pause"})


def _leased(job: Job) -> bool:
    return "leaseID" in job["Raw"]


def status_of(node: Node, jobs: Sequence[Job]) -> str:
    """Return the status; that a live run waits, or backs off, shows by its jobs."""
    status = str(node["status"])
    if status in ENDS:
        return ENDS[status]
    if status not in {"RUNNING", "QUEUED"}:
        return "unknown"
    active = [job for job in jobs if job["kind"] not in WAITS]
    if jobs and not active:
        return "waiting"
    if active and all(job["attempt"] and not _leased(job) for job in active):
        return "retrying"
    return "queued" if status == "QUEUED" else "running"


def view(run: str, node: Node | None, jobs: Sequence[Job] | None) -> RunView:
    """Return the view of a run; ``jobs`` is None where they were not to be had.

    A live run without a job is one that nothing will ever wake: jobs stand for timers and for
    waits too.
    """
    if node is None:
        return RunView(run=run, status="absent")
    status = status_of(node, jobs or ())
    ended = status in ENDS.values()
    moves = "no" if ended or jobs == [] else "yes" if jobs else "unknown"
    output = node.get("output")
    return RunView(
        run=run,
        status=status,
        output=json.loads(output) if status == "completed" and output else None,
        engine_id=str(node["id"]),
        attempt=max((job["attempt"] for job in jobs), default=None) if jobs else None,
        moves=moves,
        detail={
            "status": node["status"],
            "jobs": [
                f"{job['kind']} at {job['at']}, attempt {job['attempt']}" for job in jobs or ()
            ],
            **({"failure": output} if status == "failed" else {}),
        },
    )


def waits_for(jobs: Sequence[Job], event: str, step: str) -> bool:
    """Say whether one of the jobs is the wait of a step for an event."""
    pauses = (job["Raw"]["data"]["payload"]["pause"] for job in jobs if job["kind"] == "pause")
    return any(pause.get("event") == event and pause.get("stepName") == step for pause in pauses)
