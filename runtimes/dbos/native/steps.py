"""How the hand-written workflows carry out their effects: one step of DBOS for each."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from dbos import DBOS, StepOptions

from harness.program import AFTER_ACK
from runtimes.dbos.ops import SETTINGS, WORLD
from runtimes.support.port import RUN, calling, recorded


async def step(name: str, effect: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:  # noqa: ANN401 - as varied as effects
    """Carry out one effect under the step's name and return its result."""
    options = cast("StepOptions", {**SETTINGS["step"], "name": name})
    with calling(WORLD, RUN.get(), name):
        result = await DBOS.run_step_async(options, effect, *args)
    if recorded(name):
        await WORLD.at(RUN.get(), AFTER_ACK, name)
    return result
