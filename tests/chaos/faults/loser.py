"""Gives up at its start what nobody had begun: a backlog does not outlive its worker."""

import asyncio

from harness.runtime import Guarantee, Kind
from runtimes.embedded import worker
from runtimes.embedded.adapter import EmbeddedRuntime


LOSER = EmbeddedRuntime(
    name="loser", policy="memo", guarantee=Guarantee.MEMO, kind=Kind.LIBRARY, argv=(__file__,)
)


if __name__ == "__main__":
    engine = worker.engine()
    for start in engine.store.pending():
        (view,) = engine.store.views([start.envelope.run], "")
        if view.status == "queued":
            engine.store.set_status(view.run, "dead")
    asyncio.run(worker.work(engine))
