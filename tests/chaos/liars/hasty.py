"""Reports that a step is recorded before it has recorded anything."""

import asyncio

from harness.effects import Json
from harness.program import AFTER_ACK, Step
from harness.runtime import Guarantee, Kind
from runtimes.embedded import worker
from runtimes.embedded.adapter import EmbeddedRuntime
from runtimes.embedded.engine import EmbeddedOps


HASTY = EmbeddedRuntime(
    name="hasty",
    policy="memo",
    guarantee=Guarantee.MEMO,
    kind=Kind.LIBRARY,
    argv=(__file__,),  # this file is its worker too
)


class Hasty(EmbeddedOps):
    """Says "recorded" between the call and the record."""

    async def step(self, command: Step) -> dict[str, Json]:
        """Call the world, report, record."""
        done = self.kept(command.name, "completion")
        if done is not None:
            return done
        reply = await self.attempt(command)
        if f"{command.name}/{AFTER_ACK}" in self.armed:
            await self.at(AFTER_ACK, command.name)
        self.keep(command.name, "completion", reply)
        return reply


if __name__ == "__main__":
    engine = worker.engine()
    engine.ops = Hasty
    asyncio.run(worker.work(engine))
