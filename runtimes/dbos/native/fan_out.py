"""The order that is charged, shipped and announced side by side, as a DBOS workflow."""

from __future__ import annotations

import asyncio

from typing import Any

from runtimes.dbos.native.steps import step
from runtimes.support import providers


async def fulfil(arg: dict[str, Any]) -> dict[str, Any]:
    """Read the order, act on it three times at once, then close it."""
    order = await step("read_order", providers.read, "order")
    parts = await asyncio.gather(
        step("charge", providers.append, "charges", order),
        step("ship", providers.append, "parcels", order),
        step("announce", providers.append, "mail", arg["run"]),
    )
    closed = await step("close_order", providers.mark, "order/state", "closed")
    return {"parts": parts, "closed": closed}
