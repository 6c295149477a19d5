"""Knows a step by its position only: in another version it takes one result for another."""

import asyncio

from harness.effects import Json
from harness.program import Step
from harness.runtime import Guarantee, Kind
from runtimes.embedded import worker
from runtimes.embedded.adapter import EmbeddedRuntime
from runtimes.embedded.engine import EmbeddedOps


COUNTER = EmbeddedRuntime(
    name="counter", policy="memo", guarantee=Guarantee.MEMO, kind=Kind.LIBRARY, argv=(__file__,)
)


class Counter(EmbeddedOps):
    """Keeps results under numbers, and looks no further."""

    position = 0

    async def step(self, command: Step) -> dict[str, Json]:
        """Return what is kept of this position, else call the world."""
        self.position += 1
        place = f"step {self.position}"
        done = self.kept(place, "completion")
        if done is None:
            done = await self.attempt(command)
            self.keep(place, "completion", done)
        return done


if __name__ == "__main__":
    engine = worker.engine()
    engine.ops = Counter
    asyncio.run(worker.work(engine))
