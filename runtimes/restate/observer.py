"""A live Restate, seen through the admin interface that the environment names.

Restate knows no workers, only addresses that it calls.  What it says of a run is asked of its
tables; whether anybody is at the address of the run's deployment is tried from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

import httpx

from harness.observer import Observer, Remedy, answering, named
from harness.signature import Evidence, Signature
from runtimes.restate.server import ENGINE
from runtimes.restate.views import STATUSES
from runtimes.support.reach import reach


PATIENCE_S = 10.0
OPEN = """
select i.id, i.target, i.status, i.modified_at, i.retry_count, i.last_failure,
  coalesce(i.pinned_deployment_id, s.deployment_id) as deployment, d.endpoint
from sys_invocation i
left join sys_service s on s.name = i.target_service_name
left join sys_deployment d on d.id = coalesce(i.pinned_deployment_id, s.deployment_id)
where i.status <> 'completed' and i.created_at <= '{until}' order by i.created_at
"""
BUSY = frozenset({"running", "suspended"})


@dataclass(frozen=True, slots=True)
class RestateObserver:
    """A deployment by its admin interface."""

    http: httpx.Client
    place: str

    def look(self, older_than_s: float) -> Sequence[Evidence]:
        """Return what is visible of each invocation that has not ended."""
        now = datetime.now(UTC)
        until = datetime.fromtimestamp(now.timestamp() - older_than_s, UTC)
        tried = cache(reach)
        with answering("restate", self.place, ENGINE.env_address):
            query = {"query": OPEN.format(until=until.isoformat())}
            answer = self.http.post("/query", json=query).raise_for_status()
            return [_seen(row, tried(row["endpoint"]), now) for row in answer.json()["rows"]]

    def remedy(self, seen: Evidence, signature: Signature) -> Remedy | None:
        """Resume what is paused where a worker is; otherwise say what would help."""
        ident = seen.run.rpartition(" ")[2]
        if signature is Signature.ATTEMPTS_BURNT:
            return Remedy(
                run=seen.run,
                does="PATCH resume: it is called again, its attempts count from 0",
                harms="itself: a step in flight at its last failure may be done twice",
                proven=seen.worker == "alive",
                verb="resume",
                args={"id": ident},
            )
        if signature is Signature.SDK_UNREACHABLE:
            return Remedy(
                run=seen.run,
                does="start a worker at the address of its deployment, or PATCH the deployment "
                "to where one is; Restate then calls it by itself",
                harms="runs of that deployment, if the code there has other steps",
                proven=False,
                verb="",
            )
        return None

    def carry_out(self, remedy: Remedy) -> str:
        """Resume an invocation."""
        with answering("restate", self.place, ENGINE.env_address):
            answer = self.http.patch(f"/invocations/{remedy.args['id']}/resume")
        return f"Restate answered {answer.status_code} to resume"


def _seen(
    row: dict[str, Any], answers: Literal["alive", "gone", "unknown"], now: datetime
) -> Evidence:
    """Return the evidence of a row.

    A run that the server has at a worker, or that waits, is not given up for a port that cannot
    be reached from here: the server may see more than we do.
    """
    status = str(row["status"])
    silent = answers == "gone" and status in BUSY
    modified = datetime.fromisoformat(row["modified_at"])
    attempts = row.get("retry_count") or 0
    return Evidence(
        run=f"{row['target']} {row['id']}",
        status=STATUSES.get(status, "running"),
        moves="no" if status == "paused" else "yes" if status in STATUSES else "unknown",
        worker="unknown" if silent else answers,
        idle_s=(now - modified).total_seconds(),
        failure=" ".join(str(row.get("last_failure") or "").split()),
        note=f"attempt {attempts} at {row['endpoint']}, where {_ANSWERS[answers]}",
    )


_ANSWERS = {"alive": "somebody answers", "gone": "nobody answers", "unknown": "nothing is heard"}


@contextmanager
def observing() -> Iterator[Observer]:
    """Lend an observer of the deployment that the environment names.

    Raises:
        RuntimeUnavailableError: it names none, or what answers there is no Restate.

    """
    place, accept = named(ENGINE), {"Accept": "application/json"}
    base = f"http://{place}"
    with httpx.Client(base_url=base, timeout=PATIENCE_S, headers=accept, trust_env=False) as http:
        with answering("restate", place, ENGINE.env_address):
            str(http.get("/version").raise_for_status().json()["ingress_endpoint"])
        yield RestateObserver(http, str(place))
