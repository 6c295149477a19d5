"""What Trigger.dev's API answers, in the harness's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.runtime import JournalEntry, RunView


STATUS = {
    "PENDING_VERSION": "queued",
    "DELAYED": "queued",
    "QUEUED": "queued",
    "DEQUEUED": "queued",
    "EXECUTING": "running",
    "REATTEMPTING": "retrying",
    "WAITING": "waiting",
    "FROZEN": "waiting",
    "COMPLETED": "completed",
    "CANCELED": "cancelled",
    "EXPIRED": "cancelled",
    "FAILED": "failed",
    "TIMED_OUT": "failed",
    "CRASHED": "failed",
    "INTERRUPTED": "failed",
    "SYSTEM_FAILURE": "failed",
}


def view(run: str, row: Mapping[str, Any]) -> RunView:
    """Return how a run stands; a status that is not documented is unknown."""
    status = STATUS.get(str(row.get("status")), "unknown")
    attempts = row.get("attemptCount")
    return RunView(
        run=run,
        status=status,
        output=row.get("output"),
        engine_id=str(row.get("id", "")),
        attempt=attempts if isinstance(attempts, int) else None,
        detail={key: row[key] for key in ("status", "version", "error") if key in row},
    )


def journal(run: str, answer: Mapping[str, Any]) -> Sequence[JournalEntry]:
    """Return the spans of a run; one in flight is marked ``isPartial``."""
    return [
        JournalEntry(
            run=run, name=str(row.get("message", "")), kind=str(row.get("kind", "")), detail=row
        )
        for row in answer.get("events", [])
    ]
