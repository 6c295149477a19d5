"""Runs that the server took off their worker and never gave back: who says so.

On a new connection the server delivers the end of a step only after those before it, and these
went over the former one.  After a minute it says in its log that it evicts the run "to restart",
and tells the worker, which drops it.  Its tables know nothing of that: there the run stays with a
worker that lives, so nobody takes it over.  The log shows that it was dropped, the tables that
nothing has begun it again or is going to.
"""

from __future__ import annotations

import re

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.process import ProcessError
from runtimes.hatchet.settings import SILENCE_S


STALL = re.compile(r"durable task ([0-9a-f-]{36}) \(invocation (\d+)\): ordered release stalled")
LEFT = """
SELECT l.external_id
FROM (VALUES {stalls}) AS stall (task, invocation)
JOIN v1_lookup_table l ON l.external_id = stall.task::uuid
JOIN v1_durable_event_log_file f
  ON (f.durable_task_id, f.durable_task_inserted_at) = (l.task_id, l.inserted_at)
  AND f.latest_invocation_count = stall.invocation
JOIN v1_task_runtime r ON (r.task_id, r.task_inserted_at) = (l.task_id, l.inserted_at)
JOIN "Worker" w ON w."id" = r.worker_id
WHERE r.evicted_at IS NULL
  AND w."lastHeartbeatAt" > NOW() - INTERVAL '{silence_s} seconds'
  AND NOT EXISTS (
    SELECT 1 FROM v1_queue_item q WHERE (q.task_id, q.task_inserted_at) = (l.task_id, l.inserted_at)
  )
"""
"""Which of them stand in the tables as they stood when they were dropped.

No newer invocation was begun, none is queued, and the worker that has it is heard, so that it is
not given to another.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalls:
    """What a server of ours says in ``logs``, one for each of its starts, and in its tables.

    ``sql`` carries out a statement in its database.
    """

    logs: Callable[[], Iterable[Path]]
    sql: Callable[[str], str]

    def among(self, tasks: Collection[str]) -> frozenset[str]:
        """Return which of these tasks nothing will move; none where that cannot be told."""
        said = (STALL.findall(log.read_text(errors="replace")) for log in self.logs())
        dropped = sorted({found for log in said for found in log if found[0] in tasks})
        if not dropped:
            return frozenset()
        stalls = ", ".join(f"('{task}', {invocation})" for task, invocation in dropped)
        try:
            rows = self.sql(LEFT.format(stalls=stalls, silence_s=SILENCE_S))
        except ProcessError:  # it has died in the meantime
            return frozenset()
        return frozenset(rows.split())
