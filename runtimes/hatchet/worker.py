"""The worker process of one pool: ``python -m runtimes.hatchet.worker POOL``.

The SDK makes two processes of it: this one runs the tasks, a *listener* child holds the stream
to the server and sends the heartbeats.  Each program is a workflow with one durable task that
plays its body; each step is a child task, whose key is the step's name.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from hatchet_sdk import DurableContext, Hatchet

from harness.deadline import Deadline, wait_until
from harness.effects import Json
from harness.scenario import Program
from harness.worker import WorldClient, announce, scenario
from runtimes.hatchet.declared import body_options, step_options, workflow_options
from runtimes.hatchet.runs import failing, playing
from runtimes.hatchet.settings import BODY, EMIT, RECORD, STEP, Place
from runtimes.hatchet.steps import Act, emitting, performing, record


SLOTS = 2000
"""Above the runs that one worker is given, times the siblings of a gather."""
LISTENER_S = 60.0
Body = Callable[[Any, DurableContext], Coroutine[Any, Any, Any]]


class Pool:
    """What one worker process serves; ``workflows`` has what the SDK knows, by name."""

    def __init__(self, name: str) -> None:
        """Connect; everything else is in the environment."""
        self.name = name
        self.hatchet = Hatchet()
        self.place = Place.of_environment()
        self.scenario = scenario()
        self.world = WorldClient()
        self.workflows: dict[str, Any] = {}

    def task(self, name: str, act: Act, **options: Any) -> None:  # noqa: ANN401 - the SDK's
        """Add a task of our own."""
        given = options or step_options(None, self.place.timers, 1.0)
        made: Any = self.hatchet.task(name=name, input_validator=dict, **given)(act)
        self.workflows[name] = made

    def workflow(self, program: Program, body: Body, failed: Act | None = None) -> None:
        """Add a program: ``body`` plays it, ``failed`` is called once it has failed for good."""
        scale, timers = self.scenario.time_scale, self.place.timers
        options = workflow_options(self.name, program, scale, self.place.since)
        made: Any = self.hatchet.workflow(name=program.name, input_validator=dict, **options)
        given = body_options(program, timers, scale, self.name)
        made.durable_task(name=BODY, eviction_policy=None, **given)(body)
        if failed:
            made.on_failure_task(name="failed", **step_options(None, timers, scale))(failed)
        self.workflows[program.name] = made

    def portable(self) -> None:
        """Add the programs of the scenario, and a task for the steps of each."""
        self.task(EMIT, emitting(self.hatchet))
        self.task(RECORD, record)
        for program in self.scenario.programs:
            policy, timers = program.policy, self.place.timers
            failed = failing(self, program) if policy.on_failure else None
            self.workflow(program, playing(self, program), failed)
            refresh_s = 0 if policy.step_timeout_s else timers.refresh_s
            options = step_options(policy, timers, self.scenario.time_scale)
            self.task(f"{STEP}.{program.name}", performing(self.world, refresh_s), **options)

    def serve(self, emulated: Sequence[str] = ()) -> None:
        """Serve what was added until asked to stop."""
        worker = self.hatchet.worker(
            self.world.incarnation,
            slots=SLOTS,
            durable_slots=SLOTS,
            workflows=list(self.workflows.values()),
        )
        threading.Thread(target=tell, args=[[*emulated]], daemon=True).start()
        worker.start()


def tell(emulated: list[Json]) -> None:
    """Announce both processes once the second one is there."""
    wait_until(
        lambda: bool(multiprocessing.active_children()),
        Deadline.after(LISTENER_S),
        "the SDK has started its listener",
    )
    [listener] = multiprocessing.active_children()
    announce(parts={"parent": os.getpid(), "listener": listener.pid}, emulated=emulated)


def main() -> None:
    """Serve the programs of the scenario; what a policy needs beyond the engine is added."""
    pool = Pool(sys.argv[1])
    pool.portable()
    emulated: Sequence[str] = ()
    if any(program.policy.cancel_on for program in pool.scenario.programs):
        from runtimes.hatchet import emulated as more  # noqa: PLC0415 - only where it is used

        more.cancellers(pool.hatchet, pool.scenario.programs, pool.workflows)
        emulated = more.PRIMITIVES
    pool.serve(emulated)


if __name__ == "__main__":
    main()
