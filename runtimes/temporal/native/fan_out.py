"""The order that is charged, shipped and announced side by side, as a Temporal workflow."""

from __future__ import annotations

import asyncio

from typing import Any

from temporalio import workflow

from runtimes.support import providers
from runtimes.temporal.native.steps import step


@workflow.defn(name="fulfil")
class Fulfil:
    """Read the order, act on it three times at once, then close it."""

    @workflow.run
    async def run(self, arg: dict[str, Any]) -> dict[str, Any]:
        """Return how the parts and the closing went."""
        order = await step("read_order", providers.read, "order")
        parts = await asyncio.gather(
            step("charge", providers.append, "charges", order),
            step("ship", providers.append, "parcels", order),
            step("announce", providers.append, "mail", arg["run"]),
        )
        closed = await step("close_order", providers.mark, "order/state", "closed")
        return {"parts": parts, "closed": closed}
