"""The webhook that is told to every subscriber once, as a Restate workflow."""

from __future__ import annotations

from typing import Any

import restate

from runtimes.restate.native.steps import begin, step, together
from runtimes.support import providers


SUBSCRIBERS = ("billing", "search", "audit")


async def dispatch(context: restate.WorkflowContext, arg: dict[str, Any]) -> dict[str, Any]:
    """Note the delivery's id, tell all subscribers side by side, acknowledge."""
    hook = await step(context, "read_hook", providers.read, "hook")
    seen = f"seen/{hook['id']}"
    await step(context, "remember", providers.create, seen, arg["run"])
    owner = await step(context, "look_up", providers.read, seen)
    if owner != arg["run"]:
        return {"told": [], "duplicate": True}
    told = await together(
        {
            f"tell_{n}": begin(context, f"tell_{n}", providers.append, f"inbox/{n}", hook["body"])
            for n in SUBSCRIBERS
        }
    )
    for name, status in zip(SUBSCRIBERS, told, strict=True):
        if status == "failed":
            again = f"tell_{name}_again"
            await step(context, again, providers.append, f"inbox/{name}", hook["body"])
    await step(context, "acknowledge", providers.mark, "hook/state", "done")
    return {"told": [*SUBSCRIBERS], "duplicate": False}
