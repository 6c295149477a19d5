"""The webhook that is told to every subscriber once, as an Inngest function."""

from __future__ import annotations

from functools import partial
from typing import Any

import inngest

from runtimes.inngest.native.steps import step, together
from runtimes.support import providers


SUBSCRIBERS = ("billing", "search", "audit")


async def dispatch(context: inngest.Context, arg: dict[str, Any]) -> dict[str, Any]:
    """Note the delivery's id, tell all subscribers side by side, acknowledge."""
    hook = await step(context, "read_hook", providers.read, "hook")
    seen = f"seen/{hook['id']}"
    await step(context, "remember", providers.create, seen, arg["run"])
    owner = await step(context, "look_up", providers.read, seen)
    if owner != arg["run"]:
        return {"told": [], "duplicate": True}
    body = hook["body"]
    told = await together(
        context,
        {f"tell_{n}": partial(providers.append, f"inbox/{n}", body) for n in SUBSCRIBERS},
    )
    for name, status in zip(SUBSCRIBERS, told, strict=True):
        if status == "failed":
            await step(context, f"tell_{name}_again", providers.append, f"inbox/{name}", body)
    await step(context, "acknowledge", providers.mark, "hook/state", "done")
    return {"told": [*SUBSCRIBERS], "duplicate": False}
