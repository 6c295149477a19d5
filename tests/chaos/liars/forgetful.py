"""Says completed although an effect is missing: it takes what it had begun for done."""

import asyncio

from harness.effects import Json
from harness.program import Step
from harness.runtime import Guarantee, Kind
from runtimes.embedded import worker
from runtimes.embedded.adapter import EmbeddedRuntime
from runtimes.embedded.engine import EmbeddedOps


FORGETFUL = EmbeddedRuntime(
    name="forgetful",
    policy="memo",
    guarantee=Guarantee.MEMO,
    kind=Kind.LIBRARY,
    argv=(__file__,),  # this file is its worker too
)


class Forgetful(EmbeddedOps):
    """Notes that it begins a step, and trusts the note."""

    async def step(self, command: Step) -> dict[str, Json]:
        """Call the world, unless there is a note."""
        if self.kept(command.name, "begun") and command.op.effect.writes:
            return {"status": "ok"}
        self.keep(command.name, "begun", {"by": self.engine.world.incarnation})
        return await super().step(command)


if __name__ == "__main__":
    engine = worker.engine()
    engine.ops = Forgetful
    asyncio.run(worker.work(engine))
