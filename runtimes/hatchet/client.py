"""The client child of the harness: it speaks to the server directly, past every link."""

from __future__ import annotations

import asyncio
import json

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import grpc
import httpx

from hatchet_sdk import Hatchet, TriggerWorkflowOptions
from hatchet_sdk.clients.admin import WorkflowRunDetail, WorkflowRunTriggerConfig
from hatchet_sdk.exceptions import BulkTriggerIdempotencyCollisionError

from harness.effects import Json
from harness.rpc import serve
from runtimes.hatchet.settings import BODY, ENDED, NOT_FOUND, Place, named


PLACE = Place.of_environment()
ABREAST = 16
PAGE = 100
"""Ids in one request: they travel in its URL."""
POLL_S = 0.05
REST_S = 10.0

T = TypeVar("T")
R = TypeVar("R")


async def each(call: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """Call for every item, ``ABREAST`` at a time; results in order."""
    room = asyncio.Semaphore(ABREAST)

    async def one(item: T) -> R:
        async with room:
            return await call(item)

    return await asyncio.gather(*(one(item) for item in items))


class Handlers:
    """The methods of the child; what has ended is asked for once."""

    def __init__(self) -> None:
        """Use one connection of each kind for all."""
        self._hatchet = Hatchet()
        # The SDK starts runs of many workflows through any one of them.
        self._door = self._hatchet.stubs.workflow(name="bakeoff")
        self._rest = httpx.AsyncClient(
            base_url=PLACE.rest,
            headers={"Authorization": f"Bearer {PLACE.token}"},
            timeout=REST_S,
            trust_env=False,
        )
        self._runs = f"/api/v1/stable/tenants/{PLACE.tenant}/workflow-runs"
        self._ids: dict[str, str] = {}
        self._ended: dict[str, dict[str, Any]] = {}

    async def _get(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
        answer = await self._rest.get(path, params=query)
        return answer.raise_for_status().json()

    async def ping(self) -> str | None:
        """Return the version of the server."""
        return await self._hatchet.aio_get_engine_version()

    async def working(self, pool: str, worker: str) -> None:
        """Return once the server lists ``worker`` as active."""
        name = named(pool, worker)
        while True:
            rows = (await self._get(f"/api/v1/tenants/{PLACE.tenant}/worker")).get("rows") or []
            if any(row["name"] == name and row["status"] == "ACTIVE" for row in rows):
                return
            await asyncio.sleep(POLL_S)

    async def start(self, starts: Sequence[dict[str, Any]]) -> None:
        """Start runs; one that exists is left alone: the server knows its key."""
        configs = [
            WorkflowRunTriggerConfig(
                workflow_name=start["program"],
                input=json.dumps(start["input"]),
                options=TriggerWorkflowOptions(
                    namespace=named(start["pool"], ""),
                    additional_metadata={"run": start["run"]},
                    priority=start["priority"],
                ),
            )
            for start in starts
        ]
        try:
            refs = await self._door.aio_run_many(configs, wait_for_result=False)
        except BulkTriggerIdempotencyCollisionError:
            return
        for start, ref in zip(starts, refs, strict=True):
            self._ids[start["run"]] = ref.workflow_run_id

    async def push(self, pool: str, event: str, payload: dict[str, Json], scope: str) -> None:
        """Push an event into a pool's namespace, to the waits of a scope if there is one."""
        await self._hatchet.event.aio_push(named(pool, event), payload, scope=scope or None)

    async def cancel(self, runs: Sequence[str]) -> None:
        """Cancel runs; one that has ended is left alone."""
        await self._find(runs)
        ids = [self._ids[run] for run in runs if run in self._ids]
        for first in range(0, len(ids), PAGE):
            body = {"externalIds": ids[first : first + PAGE]}
            path = f"/api/v1/stable/tenants/{PLACE.tenant}/tasks/cancel"
            (await self._rest.post(path, json=body)).raise_for_status()

    async def _find(self, runs: Sequence[str]) -> dict[str, Any]:
        """Return the rows of the REST list by run, and learn ids from it.

        A run that an event started is known by its key only, one whose key is not its id (the
        program's policy has another use for it) by its metadata only.
        """
        rows: dict[str, Any] = {}
        for first in range(0, len(runs), PAGE):
            page = runs[first : first + PAGE]
            keyed = await self._list(idempotency_keys=list(page))
            rows |= {row["idempotencyKey"]: row for row in keyed}
            marks = [f"run:{run}" for run in page if run not in rows]
            if marks:
                marked = await self._list(additional_metadata=marks)
                rows |= {row["additionalMetadata"]["run"]: row for row in marked}
        self._ids |= {run: row["metadata"]["id"] for run, row in rows.items()}
        return rows

    async def _list(self, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
        fixed = {"since": PLACE.since, "only_tasks": False, "limit": PAGE}
        found = await self._get(self._runs, **fixed, include_payloads=False, **query)
        rows: list[dict[str, Any]] = found["rows"]
        return rows

    async def describe(self, runs: Sequence[str]) -> list[dict[str, Any]]:
        """Return what ``settings.view`` reads, for each run."""
        rows = await self._find([run for run in runs if run not in self._ended])
        return await each(lambda run: self._describe(run, rows.get(run, {})), runs)

    async def _describe(self, run: str, row: dict[str, Any]) -> dict[str, Any]:
        if run in self._ended:
            return self._ended[run]
        if run not in self._ids:
            return {"core": "UNKNOWN"}
        ident = self._ids[run]
        try:
            told = await self._hatchet.runs.aio_get_details(ident)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
            return {"id": ident, "core": NOT_FOUND}
        seen: dict[str, Any] = {"id": ident, "core": told.status.value}
        if row:
            seen |= {"olap": row["status"], "attempt": row.get("attempt")}
        body = told.task_runs.get(BODY)
        seen["task"] = body.external_id if body else ""
        if body:
            seen |= {"output": (body.output or {}).get("output"), "failure": body.error or ""}
            seen["evicted"] = body.is_evicted
        if told.status.value in ENDED:
            self._ended[run] = seen
        elif row and told.status.value == "RUNNING":
            log = await self._log(told)
            seen["waits"] = [entry["name"] for entry in log if not entry["isSatisfied"]]
        return seen

    async def _log(self, told: WorkflowRunDetail) -> list[dict[str, Any]]:
        if BODY not in told.task_runs:
            return []
        task = told.task_runs[BODY].external_id
        path = f"/api/v1/stable/tenants/{PLACE.tenant}/durable-tasks/{task}"
        return [{**entry, "name": subject(entry)} for entry in await self._get(path)]

    async def journal(self, run: str) -> list[dict[str, Any]]:
        """Return the durable log of a run."""
        if run not in await self._find([run]):
            return []
        return await self._log(await self._hatchet.runs.aio_get_details(self._ids[run]))


def subject(entry: dict[str, Any]) -> str:
    """Return what an entry of a durable log is about: its label, or the child workflow."""
    waits = [str(wait.get("workflowName", "")) for wait in entry.get("waitData") or ()]
    return str(entry.get("userMessage") or next(iter(waits), ""))


async def main() -> None:
    """Serve the adapter."""
    handlers = Handlers()
    names = ("ping", "working", "start", "push", "cancel", "describe", "journal")
    await serve({name: getattr(handlers, name) for name in names})


if __name__ == "__main__":
    asyncio.run(main())
