"""Takes a step that is slow for one whose worker is dead, and calls it again."""

import asyncio

from harness.effects import Json
from harness.program import Step
from harness.runtime import Guarantee, Kind
from runtimes.embedded import worker
from runtimes.embedded.adapter import EmbeddedRuntime
from runtimes.embedded.engine import EmbeddedOps


PATIENCE_S = 1.0
IMPATIENT = EmbeddedRuntime(
    name="impatient",
    policy="memo",
    guarantee=Guarantee.MEMO,
    kind=Kind.LIBRARY,
    argv=(__file__,),  # this file is its worker too
)


class Impatient(EmbeddedOps):
    """Gives a call up that has no answer yet."""

    async def attempt(self, command: Step) -> dict[str, Json]:
        """Call the world, and after a moment once more."""
        try:
            return await asyncio.wait_for(super().attempt(command), PATIENCE_S)
        except TimeoutError:
            return await super().attempt(command)


if __name__ == "__main__":
    engine = worker.engine()
    engine.ops = Impatient
    asyncio.run(worker.work(engine))
