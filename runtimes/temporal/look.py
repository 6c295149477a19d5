"""The child of the observer: it asks a Temporal server what it has of runs that go on."""

from __future__ import annotations

import asyncio

from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client

from harness.rpc import serve
from runtimes.temporal.reading import PLACE, READ_S, Reader


RUNNING = 'ExecutionStatus = "Running"'
KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)


class Looks:
    """The methods of the child."""

    def __init__(self, client: Client) -> None:
        """Use one connection for all."""
        self._client, self._reader = client, Reader(client)

    async def ping(self) -> str:
        """Return the version of the server."""
        service = self._client.workflow_service
        info = await service.get_system_info(GetSystemInfoRequest(), timeout=READ_S)
        return info.server_version

    async def runs(self, older_than_s: float) -> list[dict[str, Any]]:
        """Return each running workflow with what the server has pending of it."""
        now = datetime.now(UTC)
        rows = [
            row
            async for row in self._client.list_workflows(RUNNING, rpc_timeout=READ_S)
            if (now - row.start_time).total_seconds() >= older_than_s
        ]
        told = await self._reader.describe([row.id for row in rows])
        return [
            {"run": row.id, "type": row.workflow_type, "queue": row.task_queue, "seen": seen}
            for row, seen in zip(rows, told, strict=True)
        ]

    async def pollers(self, queue: str) -> dict[str, float]:
        """Return who asked a task queue for work of late: seconds since, by identity."""
        now = datetime.now(UTC)
        found: dict[str, float] = {}
        for kind in KINDS:
            request = DescribeTaskQueueRequest(
                namespace=PLACE.namespace,
                task_queue=TaskQueue(name=queue),
                task_queue_type=kind,
            )
            service = self._client.workflow_service
            seen = await service.describe_task_queue(request, retry=True, timeout=READ_S)
            for poller in seen.pollers:
                since_s = (now - poller.last_access_time.ToDatetime(UTC)).total_seconds()
                found[poller.identity] = min(since_s, found.get(poller.identity, since_s))
        return found


async def main() -> None:
    """Serve the observer."""
    client = await Client.connect(
        PLACE.target, namespace=PLACE.namespace, identity="bakeoff-diagnose", lazy=True
    )
    looks = Looks(client)
    await serve({name: getattr(looks, name) for name in ("ping", "runs", "pollers")})


if __name__ == "__main__":
    asyncio.run(main())
