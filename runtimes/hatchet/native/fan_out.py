"""The order that is charged, shipped and announced side by side, as a durable task."""

from __future__ import annotations

import asyncio

from typing import Any

from hatchet_sdk import DurableContext

from runtimes.hatchet.native.steps import step
from runtimes.support import providers


async def fulfil(arg: dict[str, Any], context: DurableContext) -> dict[str, Any]:
    """Read the order, act on it three times at once, then close it."""
    del context
    order = await step("read_order", providers.read, "order")
    parts = await asyncio.gather(
        step("charge", providers.append, "charges", order),
        step("ship", providers.append, "parcels", order),
        step("announce", providers.append, "mail", arg["run"]),
    )
    closed = await step("close_order", providers.mark, "order/state", "closed")
    return {"parts": parts, "closed": closed}
