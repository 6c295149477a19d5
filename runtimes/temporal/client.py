"""The client child of the harness: it speaks to the server directly, past every link."""

from __future__ import annotations

import asyncio

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from harness.effects import Json
from harness.rpc import serve
from runtimes.temporal.reading import Reader, each
from runtimes.temporal.settings import ASK, EVENT, GATE, HAPPENED, Place


PLACE = Place.of_environment()
RPC_S = timedelta(seconds=10)
POLL_S = 0.05
TASK = timedelta(seconds=PLACE.timers.task_s)


class Handlers:
    """The methods of the child."""

    def __init__(self, client: Client) -> None:
        """Use one connection for all."""
        self._client, reader = client, Reader(client)
        self.describe, self.journal = reader.describe, reader.journal

    async def ping(self) -> str:
        """Return the version of the server."""
        service = self._client.workflow_service
        info = await service.get_system_info(GetSystemInfoRequest(), retry=True, timeout=RPC_S)
        return info.server_version

    async def polling(self, pool: str, worker: str, since_s: float) -> None:
        """Return once ``worker`` has asked the server for both kinds of work since then."""
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
                if any(
                    poller.identity == worker
                    and poller.last_access_time.ToNanoseconds() >= since_s * 1e9
                    for poller in seen.pollers
                ):
                    break
                await asyncio.sleep(POLL_S)

    async def start(self, starts: Sequence[dict[str, Any]]) -> None:
        """Start runs; one that exists or existed is left alone.

        Gates are told of theirs in order before: later the order is the server's.
        """
        asks: dict[tuple[str, str], list[Json]] = {}
        for start in starts:
            if start["gated"]:
                envelope = start["envelope"]
                ask = {"run": envelope["run"], "arg": start["arg"], "there": False}
                asks.setdefault((envelope["pool"], start["program"]), []).append(ask)
        await each(lambda gate: self._tell(*gate, ASK, asks[gate]), asks)

        async def one(start: dict[str, Any]) -> None:
            try:
                await self._client.start_workflow(
                    start["program"],
                    {"envelope": start["envelope"], "arg": start["arg"]},
                    id=PLACE.id(start["envelope"]["run"]),
                    task_queue=PLACE.queue(start["envelope"]["pool"]),
                    task_timeout=TASK,
                    execution_timeout=timedelta(seconds=start["life_s"]) or None,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    rpc_timeout=RPC_S,
                )
            except WorkflowAlreadyStartedError:
                return

        await each(one, starts)

    async def _tell(self, pool: str, program: str, signal: str, data: Json) -> None:
        """Send a signal to a gate, which is started if it does not stand."""
        await self._client.start_workflow(
            GATE,
            program,
            id=PLACE.gate(pool, program),
            task_queue=PLACE.queue(pool),
            task_timeout=TASK,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=signal,
            start_signal_args=[data],
            rpc_timeout=RPC_S,
        )

    async def happened(self, pool: str, programs: Sequence[str], told: Json) -> None:
        """Tell the gates of programs what has happened."""
        await each(lambda program: self._tell(pool, program, HAPPENED, told), programs)

    async def signal(self, run: str, data: dict[str, Json]) -> None:
        """Send an event to a run."""
        handle = self._client.get_workflow_handle(PLACE.id(run))
        await handle.signal(EVENT, data, rpc_timeout=RPC_S)

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

    async def unschedule(self, names: Sequence[str]) -> None:
        """Delete schedules; one that never was is left alone."""
        for name in names:
            try:
                await self._client.get_schedule_handle(PLACE.id(name)).delete(rpc_timeout=RPC_S)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise


async def main() -> None:
    """Serve; the server may come later, and go."""
    client = await Client.connect(
        PLACE.target, namespace=PLACE.namespace, identity="bakeoff", lazy=True
    )
    handlers = Handlers(client)
    names = ("ping", "polling", "start", "happened", "signal", "terminate", "unschedule")
    reads = ("describe", "journal")
    await serve({name: getattr(handlers, name) for name in (*names, *reads)})


if __name__ == "__main__":
    asyncio.run(main())
