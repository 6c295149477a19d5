"""The client child of the harness: it speaks to the server directly, past every link."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict
from temporalio.api.enums.v1 import EventType, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from harness.effects import Json
from harness.rpc import serve
from runtimes.temporal.settings import CLOSED, Place


PLACE = Place.of_environment()
ABREAST = 32
"""Calls at one time: more of them only queue up at the one connection of the server's SQLite."""
RPC_S = timedelta(seconds=10)
POLL_S = 0.05
LIFE = timedelta(seconds=PLACE.timers.run_s) or None
AWAY = {RPCStatusCode.UNAVAILABLE.name, RPCStatusCode.DEADLINE_EXCEEDED.name}
OPENED = {EventType.EVENT_TYPE_TIMER_STARTED}
FIRED = {EventType.EVENT_TYPE_TIMER_FIRED, EventType.EVENT_TYPE_TIMER_CANCELED}

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

    def __init__(self, client: Client) -> None:
        """Use one connection for all."""
        self._client = client
        self._ended: dict[str, dict[str, Any]] = {}

    async def ping(self) -> str:
        """Return the version of the server."""
        service = self._client.workflow_service
        info = await service.get_system_info(GetSystemInfoRequest(), retry=True, timeout=RPC_S)
        return info.server_version

    async def polling(self, pool: str, worker: str) -> None:
        """Return once the server was asked for work by ``worker``, for both kinds of it."""
        for kind in (
            TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        ):
            request = DescribeTaskQueueRequest(
                namespace=PLACE.namespace,
                task_queue=TaskQueue(name=PLACE.queue(pool)),
                task_queue_type=kind,
            )
            while True:
                service = self._client.workflow_service
                seen = await service.describe_task_queue(request, retry=True, timeout=RPC_S)
                if any(poller.identity == worker for poller in seen.pollers):
                    break
                await asyncio.sleep(POLL_S)

    async def start(self, starts: Sequence[dict[str, Any]]) -> None:
        """Start runs; one that exists or existed is left alone."""

        async def one(start: dict[str, Any]) -> None:
            try:
                await self._client.start_workflow(
                    start["program"],
                    {"envelope": start["envelope"], "arg": start["arg"]},
                    id=PLACE.id(start["envelope"]["run"]),
                    task_queue=PLACE.queue(start["envelope"]["pool"]),
                    task_timeout=timedelta(seconds=PLACE.timers.task_s),
                    execution_timeout=LIFE,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    rpc_timeout=RPC_S,
                )
            except WorkflowAlreadyStartedError:
                return

        await each(one, starts)

    async def signal(self, run: str, data: dict[str, Json]) -> None:
        """Send an event to a run."""
        handle = self._client.get_workflow_handle(PLACE.id(run))
        await handle.signal("bakeoff.event", data, rpc_timeout=RPC_S)

    async def terminate(self, runs: Sequence[str]) -> None:
        """End runs without asking a worker; one that has ended is left alone."""

        async def one(run: str) -> None:
            handle = self._client.get_workflow_handle(PLACE.id(run))
            try:
                await handle.terminate(reason="left over", rpc_timeout=RPC_S)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise

        await each(one, runs)

    async def describe(self, runs: Sequence[str]) -> list[dict[str, Any]]:
        """Return what ``settings.view`` reads, for each run."""
        away: dict[str, Any] = {}

        async def one(run: str) -> dict[str, Any]:
            # The SDK has already tried for some 10 s: do not try again for hundreds of runs.
            seen = away or await self._describe(run)
            if seen["status"] in AWAY:
                away.update(seen)
            return seen

        return await each(one, runs)

    async def _describe(self, run: str) -> dict[str, Any]:
        if run in self._ended:
            return self._ended[run]
        handle = self._client.get_workflow_handle(PLACE.id(run))
        try:
            described = await handle.describe(rpc_timeout=RPC_S)
            raw = described.raw_description
            status = described.status.name if described.status else "UNKNOWN"
            seen: dict[str, Any] = {"status": status, "id": described.run_id}
            if status in CLOSED:
                self._ended[run] = seen | await self._end(run, described.run_id)
                return self._ended[run]
            seen["activities"] = [MessageToDict(entry) for entry in raw.pending_activities]
            if raw.HasField("pending_workflow_task"):
                seen["task"] = MessageToDict(raw.pending_workflow_task)
            seen["begun"] = described.history_length > 2  # noqa: PLR2004 - started, scheduled
            if not seen["activities"] and "task" not in seen:
                seen["wakes"] = len(raw.pending_children) + await self._timers(run)
        except RPCError as error:
            return {"status": error.status.name, "failure": error.message}
        return seen

    async def _end(self, run: str, engine_id: str) -> dict[str, Any]:
        handle = self._client.get_workflow_handle(PLACE.id(run), run_id=engine_id)
        try:
            return {"output": await handle.result(rpc_timeout=RPC_S)}
        except WorkflowFailureError as error:
            return {"failure": str(error.cause)}

    async def _timers(self, run: str) -> int:
        handle = self._client.get_workflow_handle(PLACE.id(run))
        kinds = [event.event_type async for event in handle.fetch_history_events()]
        return sum(kind in OPENED for kind in kinds) - sum(kind in FIRED for kind in kinds)

    async def journal(self, run: str) -> list[dict[str, Any]]:
        """Return the history of a run as the API shows it; none of a run that never was."""
        handle = self._client.get_workflow_handle(PLACE.id(run))
        try:
            return [MessageToDict(event) async for event in handle.fetch_history_events()]
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return []


async def main() -> None:
    """Serve; the server may come later, and go."""
    client = await Client.connect(
        PLACE.target, namespace=PLACE.namespace, identity="bakeoff", lazy=True
    )
    handlers = Handlers(client)
    names = ("ping", "polling", "start", "signal", "terminate", "describe", "journal")
    await serve({name: getattr(handlers, name) for name in names})


if __name__ == "__main__":
    asyncio.run(main())
