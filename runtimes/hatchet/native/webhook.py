"""The webhook that is told to every subscriber once, as a durable task of Hatchet."""

from __future__ import annotations

import asyncio

from typing import Any

from hatchet_sdk import DurableContext

from runtimes.hatchet.native.steps import step
from runtimes.support import providers


SUBSCRIBERS = ("billing", "search", "audit")


async def dispatch(arg: dict[str, Any], context: DurableContext) -> dict[str, Any]:
    """Note the delivery's id, tell all subscribers side by side, acknowledge."""
    del context
    hook = await step("read_hook", providers.read, "hook")
    seen = f"seen/{hook['id']}"
    await step("remember", providers.create, seen, arg["run"])
    owner = await step("look_up", providers.read, seen)
    if owner != arg["run"]:
        return {"told": [], "duplicate": True}
    told = await asyncio.gather(
        *(step(f"tell_{n}", providers.append, f"inbox/{n}", hook["body"]) for n in SUBSCRIBERS)
    )
    for name, status in zip(SUBSCRIBERS, told, strict=True):
        if status == "failed":
            await step(f"tell_{name}_again", providers.append, f"inbox/{name}", hook["body"])
    await step("acknowledge", providers.mark, "hook/state", "done")
    return {"told": [*SUBSCRIBERS], "duplicate": False}
