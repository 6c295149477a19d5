"""The order that is charged, shipped and announced side by side, as a Restate workflow."""

from __future__ import annotations

from typing import Any

import restate

from runtimes.restate.native.steps import begin, step, together
from runtimes.support import providers


async def fulfil(context: restate.WorkflowContext, arg: dict[str, Any]) -> dict[str, Any]:
    """Read the order, act on it three times at once, then close it."""
    order = await step(context, "read_order", providers.read, "order")
    parts = await together(
        {
            "charge": begin(context, "charge", providers.append, "charges", order),
            "ship": begin(context, "ship", providers.append, "parcels", order),
            "announce": begin(context, "announce", providers.append, "mail", arg["run"]),
        }
    )
    closed = await step(context, "close_order", providers.mark, "order/state", "closed")
    return {"parts": parts, "closed": closed}
