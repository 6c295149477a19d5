"""A live Hatchet, seen through its REST interface, with the token that the environment has.

The server knows its workers by their heartbeats, one each 4 s.  A silent worker may be cut off
and not dead, so silence proves nothing; what the server itself took off its worker is proven.
"""

from __future__ import annotations

import os

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx

from harness.observer import Observer, Remedy, answering, named
from harness.runtime import RuntimeUnavailableError
from harness.signature import Evidence, Signature
from runtimes.hatchet.server import ENGINE
from runtimes.hatchet.settings import SILENCE_S
from runtimes.hatchet.tenant import tenant_of


TOKEN, REST = "BAKEOFF_HATCHET_TOKEN", "BAKEOFF_HATCHET_REST"
PATIENCE_S = 10.0
PAGE = 100
QUIET_S = 15.0
"""Three heartbeats and a bit: after 5 s the server gives a worker nothing new."""
EVER, RECENT_S = timedelta(days=30), 86_400.0
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
Row = Mapping[str, Any]
Life = Literal["alive", "gone", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker as the server knows it; ``silent_s`` is since its last heartbeat."""

    name: str
    silent_s: float
    actions: frozenset[str]

    @property
    def alive(self) -> bool:
        """Say whether it was heard of late."""
        return self.silent_s <= QUIET_S


@dataclass(frozen=True, slots=True, kw_only=True)
class HatchetObserver:
    """A tenant of a server."""

    http: httpx.Client
    place: str
    tenant: str
    workers: dict[str, Worker] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    """The worker that each running task was given to."""

    def _get(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
        return self.http.get(path, params=query).raise_for_status().json()

    def look(self, older_than_s: float) -> Sequence[Evidence]:
        """Return what is visible of each workflow run that goes on."""
        now = datetime.now(UTC)
        with answering("hatchet", self.place, REST):
            self.read_workers(now)
            until = now - timedelta(seconds=older_than_s)
            open_ = self._rows(now, ["RUNNING", "QUEUED"], only_tasks=False)
            rows = [row for row in open_ if _moment(row["createdAt"]) <= until]
            told = [self._get(f"/api/v1/stable/workflow-runs/{_id(row)}") for row in rows]
            seen = [self._seen(one) for one in told]
        return [one for one in seen if one]

    def read_workers(self, now: datetime) -> None:
        """Ask who is there, and who has which task."""
        self.workers.clear()
        self.held.clear()
        rows = self._get(f"/api/v1/tenants/{self.tenant}/worker").get("rows") or []
        for row in rows:
            beat = row.get("lastHeartbeatAt")
            self.workers[_id(row)] = Worker(
                name=str(row["name"]),
                silent_s=(now - _moment(beat)).total_seconds() if beat else float("inf"),
                actions=frozenset(row.get("actions") or ()),
            )
        for ident, worker in self.workers.items():
            if worker.silent_s <= RECENT_S:
                tasks = self._rows(now, ["RUNNING"], only_tasks=True, worker_id=ident)
                self.held.update({_id(task): ident for task in tasks})

    def _rows(self, now: datetime, statuses: Sequence[str], **query: Any) -> Iterator[Row]:  # noqa: ANN401 - JSON
        path, first = f"/api/v1/stable/tenants/{self.tenant}/workflow-runs", 0
        since = (now - EVER).isoformat()
        while True:
            page = self._get(
                path,
                since=since,
                statuses=statuses,
                include_payloads=False,
                limit=PAGE,
                offset=first,
                **query,
            )["rows"]
            yield from page
            first += PAGE
            if len(page) < PAGE:
                return

    def _seen(self, told: Row) -> Evidence | None:
        """Return the evidence of a run by the first of its tasks that goes on."""
        tasks = [task for task in told["tasks"] if task["status"] not in ENDED]
        if not tasks:
            return None
        task = tasks[0]
        ident = task["metadata"]["id"]
        running, evicted = task["status"] == "RUNNING", bool(task.get("isEvicted"))
        worker = self.workers.get(self.held.get(ident, "")) if running and not evicted else None
        staffed = any(w.alive and task.get("actionId") in w.actions for w in self.workers.values())
        claimant: Life = "unknown"
        if worker:
            claimant = "alive" if worker.alive else "gone"
        stuck = evicted and not self._waits(ident)
        notes = [f"task {task.get('actionId')} is {task['status']}"]
        if worker:
            notes.append(f"its worker was heard {worker.silent_s:.0f} s ago")
        if evicted:
            notes.append("the server has taken it off its worker")
        return Evidence(
            run=f"{told['workflowConfig']['Name']} {_id(told['run'])}",
            status="running" if running else "queued",
            moves=_moves(worker, evicted=evicted, stuck=stuck),
            claim=worker.name if worker else "",
            worker="alive" if staffed else "gone",
            claimant=claimant,
            failure=" ".join(str(task.get("errorMessage") or "").split()),
            note="; ".join(notes),
        )

    def _waits(self, task: str) -> bool:
        """Say whether the durable log of a task has a wait that nothing has satisfied."""
        path = f"/api/v1/stable/tenants/{self.tenant}/durable-tasks/{task}"
        return any(not entry["isSatisfied"] for entry in self._get(path))

    def remedy(self, seen: Evidence, signature: Signature) -> Remedy | None:
        """Restore what the server took off its worker and forgot; otherwise say what would help."""
        ident = seen.run.rpartition(" ")[2]
        if signature is Signature.STUCK_RUN:
            return Remedy(
                run=seen.run,
                does="restore it: a worker goes on from its durable log",
                harms="itself: a step whose end is not in the log may be done twice",
                proven=seen.moves == "no",
                verb="restore",
                args={"run": ident},
            )
        if signature is Signature.ORPHANED_CLAIM:
            return Remedy(
                run=seen.run,
                does="replay its task, once its worker is known to be dead",
                harms="itself: what the task did is done again",
                proven=False,
                verb="",
            )
        if signature is Signature.SDK_UNREACHABLE:
            return Remedy(
                run=seen.run,
                does="start a worker that has its action: the server then gives it the task",
                harms="nobody, if its code fits the durable log",
                proven=False,
                verb="",
            )
        return None

    def carry_out(self, remedy: Remedy) -> str:
        """Restore the tasks of a run that the server has evicted."""
        with answering("hatchet", self.place, REST):
            told = self._get(f"/api/v1/stable/workflow-runs/{remedy.args['run']}")
            codes = [
                self.http.post(f"/api/v1/stable/tasks/{_id(task)}/restore").status_code
                for task in told["tasks"]
                if task.get("isEvicted")
            ]
        return f"Hatchet answered {', '.join(map(str, codes))} to restore"


def _moves(worker: Worker | None, *, evicted: bool, stuck: bool) -> str:
    """Say whether the server will move a task.

    A worker that is heard is at work; one that is not loses the task after ``SILENCE_S``, and
    the sweep that sees to it may be as late again.
    """
    if evicted:
        return "no" if stuck else "yes"
    if worker is None:
        return "yes"
    return "yes" if worker.silent_s <= 2 * SILENCE_S else "unknown"


def _id(row: Row) -> str:
    return str(row["metadata"]["id"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(f"{text[:19]}+00:00")


@contextmanager
def observing() -> Iterator[Observer]:
    """Lend an observer of the deployment that the environment names.

    Raises:
        RuntimeUnavailableError: it names none, or what answers there is no Hatchet.

    """
    named(ENGINE)
    given = {name: os.environ.get(name, "") for name in (TOKEN, REST)}
    missing = [name for name, value in given.items() if not value]
    if missing:
        msg = f"hatchet: set {' and '.join(missing)} (a token; host:port of its API)"
        raise RuntimeUnavailableError(msg)
    with answering("hatchet", given[REST], TOKEN):
        tenant = tenant_of(given[TOKEN])
    with httpx.Client(
        base_url=f"http://{given[REST]}",
        headers={"Authorization": f"Bearer {given[TOKEN]}"},
        timeout=PATIENCE_S,
        trust_env=False,
    ) as http:
        observer = HatchetObserver(http=http, place=given[REST], tenant=tenant)
        with answering("hatchet", given[REST], REST):
            observer.read_workers(datetime.now(UTC))
        yield observer
