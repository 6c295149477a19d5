"""What a worker serves: each program as a workflow, each step as a child task of its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from hatchet_sdk import DurableContext, Hatchet

from harness.scenario import Program
from harness.worker import WorldClient, scenario
from runtimes.hatchet.declared import body_options, step_options, workflow_options
from runtimes.hatchet.runs import failing, playing
from runtimes.hatchet.settings import BODY, EMIT, RECORD, STEP, Place
from runtimes.hatchet.steps import Act, emitting, performing, record


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
