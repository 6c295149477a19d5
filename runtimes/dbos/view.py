"""What DBOS's states mean in the terms of the harness."""

from collections.abc import Mapping
from typing import Any

from harness.runtime import RunView


ENDED = {
    "SUCCESS": "completed",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "dead",
}


def view(run: str, row: Mapping[str, Any] | None, *, staffed: bool) -> RunView:
    """Return what DBOS's row says of a run; ``staffed``: a worker of its pool is alive.

    There is no heartbeat: whether a ``PENDING`` run is executed is known only where no
    process is left that could.
    """
    if row is None:
        return RunView(run=run, status="absent")
    engine, attempt = str(row["status"]), int(row["attempt"])
    moves = "unknown" if staffed else "no"
    if engine in ENDED:
        status, moves = ENDED[engine], "no"
    elif engine == "PENDING":
        status = "waiting" if row["waits"] else "running"
    else:
        status = "retrying" if attempt else "queued"
        moves = "yes" if staffed else "no"
    return RunView(
        run=run,
        status=status,
        output=row["output"],
        engine_id=str(row["id"]),
        attempt=attempt,
        moves=moves,
        detail={key: row[key] for key in ("status", "executor", "queue", "error", "waits")},
    )
