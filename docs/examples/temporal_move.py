"""Moves a shop on Temporal, whose worker has no credential: each step is asked of a gateway.

``start SHOP`` starts a workflow, ``work SHOP`` works until it has ended.  ``DIE=clear_users`` kills
the worker when those rows are gone, and before Temporal is told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from datetime import timedelta
from typing import Any

import httpx

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


TEMPORAL, QUEUE, GATEWAY = "127.0.0.1:17234", "move", "gateway/workers.sock"
PATIENCE = timedelta(seconds=10)


@activity.defn
async def do(shop: str, step: str, op: str, args: dict[str, Any]) -> Any:
    """Have a step done; what the gateway cannot do now, Temporal asks for again."""
    asked = {"run": shop, "step": step, "op": op, "args": args}
    transport = httpx.AsyncHTTPTransport(uds=GATEWAY)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        answer = await http.post("/perform", json=asked, timeout=PATIENCE.total_seconds())
    answer.raise_for_status()
    if step == os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return answer.json()


@workflow.defn
class Move:
    """A shop that moves: its rows, its name, and a mail to its owner."""

    @workflow.run
    async def run(self, shop: str) -> list[str]:
        """Copy the rows, delete the old ones, switch the name, tell people."""
        name, mail = f"dns/example.test/{shop}/A", "mail/ann@example.test"
        steps: list[tuple[str, str, dict[str, Any]]] = [
            ("open_shop", "open", {"path": "db/new_shops", "shop": shop}),
            ("copy_users", "copy_users", {"path": "db/new_users", "shop": shop}),
            ("clear_users", "clear_users", {"path": "db/old_users", "shop": shop}),
            ("cut_over", "dns.set", {"path": name, "records": ["192.0.2.2"], "ttl": 60}),
            ("notify", "mail.send", {"path": mail, "subject": f"{shop} has moved", "text": "Yes."}),
        ]
        said = []
        for step, op, args in steps:
            answer = await workflow.execute_activity(
                do, args=[shop, step, op, args], start_to_close_timeout=PATIENCE
            )
            said.append(f"{step}: {answer['status']}")
            if answer["status"] != "ok":
                break
        return said


async def main(verb: str, shop: str) -> None:
    """Start a move, or work until it is done."""
    client = await Client.connect(TEMPORAL)
    if verb == "start":
        await client.start_workflow(Move.run, shop, id=shop, task_queue=QUEUE)
        return
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Move],
        activities=[do],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,  # nothing waits for the cache of a dead worker
    ):
        print(*await client.get_workflow_handle(shop).result(), sep="\n", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
    os._exit(0)  # the SDK's own threads do not always survive the interpreter's end
