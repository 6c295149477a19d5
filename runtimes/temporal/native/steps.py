"""How the hand-written workflows call their activities: one activity for each effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import activity, workflow

from runtimes.support import providers
from runtimes.temporal.child import OPTIONS


ACTIVITIES = [activity.defn(effect) for effect in providers.EFFECTS]


async def step(name: str, effect: Callable[..., Awaitable[Any]], *args: Any) -> Any:  # noqa: ANN401 - as varied as effects
    """Run an activity with the timers of the profile; its id is the step's name."""
    options: workflow.ActivityConfig = {**OPTIONS, "activity_id": name}
    return await workflow.execute_activity(effect, args=args, **options)
