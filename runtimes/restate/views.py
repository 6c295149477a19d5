"""What Restate's tables say of a run, in the harness's words."""

from __future__ import annotations

import re

from collections.abc import Iterable, Mapping

from harness.effects import Json
from harness.runtime import RunView


Row = Mapping[str, Json]

STATUSES = {
    "pending": "queued",
    "ready": "queued",
    "scheduled": "queued",
    "running": "running",
    "backing-off": "retrying",
    "suspended": "waiting",
    "paused": "parked",
}
ENDS = frozenset({"completed", "cancelled", "failed"})
STOPPED = re.compile(r"\[409\] ?(cancell?ed|killed)", re.IGNORECASE)
WAITS = frozenset({"Command: Sleep", "Command: GetPromise", "Command: Call"})


def invocations(where: str) -> str:
    """Return the query for the runs that ``where`` selects."""
    return (
        "select id, target_service_key, status, completion_result, "  # noqa: S608 - ids, pool names
        "completion_failure, "
        "retry_count, last_failure, pinned_deployment_id, next_retry_at from sys_invocation "
        f"where target_handler_name = 'run' and {where}"
    )


def tails(ids: Iterable[Json]) -> str:
    """Return the query for what is last in journals, and how many steps are open in them.

    The server shows a run as running until ``inactivity_timeout`` suspends it; that it waits is
    seen sooner in its journal: a wait was written last, and no step is in flight.
    """
    listed = ", ".join(f"'{ident}'" for ident in ids)
    return (
        "select id, last_value(entry_type order by index) "  # noqa: S608 - the server's own ids
        "filter (where entry_type <> 'Notification: CallInvocationId') as last, "
        "sum(case entry_type when 'Command: Run' then 1 when 'Notification: Run' then -1 "
        f"else 0 end) as open_steps from sys_journal where id in ({listed}) group by id"
    )


def status_of(row: Row, tail: Row | None = None) -> str:
    """Return the status; a run that was cancelled or killed ends as a failure with code 409."""
    if row["status"] == "completed":
        if row["completion_result"] == "success":
            return "completed"
        return "cancelled" if STOPPED.search(str(row["completion_failure"])) else "failed"
    status = STATUSES.get(str(row["status"]), "unknown")
    if status == "running" and tail and tail["last"] in WAITS and tail["open_steps"] == 0:
        return "waiting"
    return status


def readable(entry: Json) -> Json:
    """Return a journal entry with its values as text; the server shows them as lists of bytes.

    What is searched for secrets must be what was stored, not its spelling.
    """
    if isinstance(entry, dict):
        return {name: readable(value) for name, value in entry.items()}
    if isinstance(entry, list):
        codes = [code for code in entry if isinstance(code, int) and code in range(256)]
        if entry and len(codes) == len(entry):
            return bytes(codes).decode(errors="replace")
        return [readable(value) for value in entry]
    return entry


def view(run: str, row: Row | None, tail: Row | None, output: Json) -> RunView:
    """Return the view of a run that the tables know by ``row``, or do not know.

    Restate names no holder of a run, only the address that its attempts go to: no claim.
    """
    if row is None:
        return RunView(run=run, status="absent")
    status = status_of(row, tail)
    attempts = row.get("retry_count")
    stays = status in ENDS or status == "parked"
    return RunView(
        run=run,
        status=status,
        output=output,
        engine_id=str(row["id"]),
        attempt=int(str(attempts)) if attempts is not None else None,
        moves="unknown" if status == "unknown" else "no" if stays else "yes",
        detail={name: value for name, value in row.items() if value is not None},
    )
