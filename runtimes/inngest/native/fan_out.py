"""The order that is charged, shipped and announced side by side, as an Inngest function."""

from __future__ import annotations

from functools import partial
from typing import Any

import inngest

from runtimes.inngest.native.steps import step, together
from runtimes.support import providers


async def fulfil(context: inngest.Context, arg: dict[str, Any]) -> dict[str, Any]:
    """Read the order, act on it three times at once, then close it."""
    order = await step(context, "read_order", providers.read, "order")
    parts = await together(
        context,
        {
            "charge": partial(providers.append, "charges", order),
            "ship": partial(providers.append, "parcels", order),
            "announce": partial(providers.append, "mail", arg["run"]),
        },
    )
    closed = await step(context, "close_order", providers.mark, "order/state", "closed")
    return {"parts": parts, "closed": closed}
