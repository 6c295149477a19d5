"""A shop on Temporal: charge an order, tell the customer.

``start ORDER`` starts a workflow, ``work ORDER`` works until it has ended.  ``DIE=charge`` kills
the worker when the payment is made, and before Temporal is told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from datetime import timedelta

import httpx

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


TEMPORAL, QUEUE = "127.0.0.1:17233", "shop"
PATIENCE = timedelta(seconds=4)


def providers() -> httpx.AsyncClient:
    """Return the way to the providers, or to the gateway before them: one address says which."""
    address = os.environ["BAKEOFF_WORLD"]
    if address.startswith("unix://"):
        transport = httpx.AsyncHTTPTransport(uds=address.removeprefix("unix://"))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
    return httpx.AsyncClient(base_url=address)


@activity.defn
async def append(order: str, step: str, path: str, value: str) -> str:
    """Do something that cannot be undone."""
    async with providers() as http:
        answer = await http.post(
            "/perform",
            json={
                "cell": order,
                "run": order,
                "step": step,
                "op": "append",
                "effect": "irreversible",
                "args": {"path": path, "value": value},
                "incarnation": f"worker-{os.getpid()}",
                "seq": 1,
            },
        )
    answer.raise_for_status()
    if step == os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return str(answer.json()["status"])


@workflow.defn
class Sale:
    """An order."""

    @workflow.run
    async def run(self, order: str) -> str:
        """Charge it, then tell the customer."""
        said = [
            await workflow.execute_activity(append, args=args, start_to_close_timeout=PATIENCE)
            for args in ([order, "charge", "payments", "25"], [order, "tell", "inbox", "thanks"])
        ]
        return f"charged {said[0]}, told {said[1]}"


async def main(verb: str, order: str) -> None:
    """Start an order, or work until it is done."""
    client = await Client.connect(TEMPORAL)
    if verb == "start":
        await client.start_workflow(Sale.run, order, id=order, task_queue=QUEUE)
        return
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Sale],
        activities=[append],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,  # nothing waits for the cache of a dead worker
    ):
        print(await client.get_workflow_handle(order).result(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
    os._exit(0)  # the SDK's own threads do not always survive the interpreter's end
