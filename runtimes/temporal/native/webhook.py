"""The webhook that is told to every subscriber once, as a Temporal workflow."""

from __future__ import annotations

import asyncio

from typing import Any

from temporalio import workflow

from runtimes.support import providers
from runtimes.temporal.native.steps import step


SUBSCRIBERS = ("billing", "search", "audit")


@workflow.defn(name="dispatch")
class Dispatch:
    """Note the delivery's id, tell all subscribers side by side, acknowledge."""

    @workflow.run
    async def run(self, arg: dict[str, Any]) -> dict[str, Any]:
        """Return who was told, and whether the delivery was a second one."""
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
                again = f"tell_{name}_again"
                await step(again, providers.append, f"inbox/{name}", hook["body"])
        await step("acknowledge", providers.mark, "hook/state", "done")
        return {"told": [*SUBSCRIBERS], "duplicate": False}
