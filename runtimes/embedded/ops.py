"""The commands of one run over a store; what is kept is the policy.

============ ====================================================================
restart      nothing is kept of a run: after a death it begins again
memo         completions are kept: the step in flight is called again
============ ====================================================================
"""

from __future__ import annotations

import asyncio
import random
import sys
import time

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from harness.effects import Json
from harness.policy import Policy as Asked
from harness.program import Command, Emit, Invoke, One, Step, WaitFor
from harness.runtime import Envelope
from harness.worker import WorldError, child_envelope, gather_tasks
from runtimes.embedded.store import Record


if TYPE_CHECKING:
    from runtimes.embedded.engine import Engine


class Policy(StrEnum):
    """What is kept of a run."""

    RESTART = "restart"
    MEMO = "memo"


SPENT: Mapping[str, Json] = {"status": "failed", "value": "its attempts are used up"}


class EscalatedError(Exception):
    """The run cannot go on by itself: a human must say."""


class ReplanError(Exception):
    """The plan does not hold: the program is to begin anew over what is kept."""


class EmbeddedOps:
    """The commands of one run over the store."""

    def __init__(self, engine: Engine, envelope: Envelope, asked: Asked) -> None:
        """Read what was kept of the run."""
        self.engine, self.envelope, self.asked = engine, envelope, asked
        self.armed = frozenset(envelope.armed)
        self.policy = engine.policy
        self._kept: dict[tuple[str, str], Any] = {}
        if self.policy is not Policy.RESTART:
            for record in engine.store.records(envelope.run):
                self._kept[record.name, record.kind] = record.body

    def note(self, name: str, kind: str, body: Any) -> None:  # noqa: ANN401 - JSON
        """Remember a fact for this attempt at least, on disk if anything is."""
        self.keep(name, kind, body)
        self._kept[name, kind] = body

    def keep(self, name: str, kind: str, body: Any) -> None:  # noqa: ANN401 - JSON
        """Put a fact on disk, unless the policy keeps nothing."""
        if self.policy is not Policy.RESTART:
            record = Record(name, kind, body)
            self.engine.store.append(self.envelope.run, record, fenced=self.engine.fenced)
            self._kept[name, kind] = body

    def kept(self, name: str, kind: str) -> Any:  # noqa: ANN401 - JSON
        """Return a fact that was kept, or ``None``."""
        return self._kept.get((name, kind))

    async def step(self, command: Step) -> dict[str, Json]:
        """Return what is kept of a step, or call the world."""
        done = self.kept(command.name, "completion")
        if done is not None:
            return done  # type: ignore[no-any-return]
        reply = await self.attempt(command)
        self.keep(command.name, "completion", reply)
        return reply

    async def attempt(self, command: Step) -> dict[str, Json]:
        """Call the world until it answers, as often as the program allows."""
        while not self.spent(command.name):
            try:
                return await self.call(command)
            except (WorldError, TimeoutError) as error:
                print(f"{self.envelope.run} {command.name}: {error!r}", file=sys.stderr)
            await self.back_off(command.name)
        return {**SPENT}

    async def call(self, command: Step) -> dict[str, Json]:
        """Call the world once, for as long as the program gives a step."""
        limit_s = self.asked.step_timeout_s
        request = self.engine.world.perform(self.envelope, command)
        return await asyncio.wait_for(
            request, None if limit_s is None else limit_s * self.envelope.time_scale
        )

    def spent(self, name: str) -> bool:
        """Say whether a step has had all its attempts; those that died do not count."""
        retry = self.asked.retry
        return retry is not None and (self.kept(name, "errors") or 0) >= retry.attempts

    async def back_off(self, name: str) -> None:
        """Count an error, and wait as the program asks before the next attempt."""
        if retry := self.asked.retry:
            errors = (self.kept(name, "errors") or 0) + 1
            self.note(name, "errors", errors)
            if errors < retry.attempts:
                wait_s = min(retry.first_s * retry.factor ** (errors - 1), retry.max_s)
                await asyncio.sleep(wait_s * self.envelope.time_scale)

    async def sleep(self, name: str, duration_s: float) -> None:
        """Sleep until a moment that is kept."""
        await self._wait(name, duration_s, lambda: None)

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        """Wait until the event is in the store, or until the kept moment has come."""
        run = self.envelope.run
        done = self.kept(command.name, "completion")
        if done is None:
            found = await self._wait(
                command.name,
                command.timeout_s,
                lambda: self.engine.store.event(run, command.event, command.key),
            )
            done = {"event": found}
            self.keep(command.name, "completion", done)
        return done["event"]  # type: ignore[no-any-return]

    async def _wait(
        self, name: str, duration_s: float, look: Callable[[], dict[str, Json] | None]
    ) -> dict[str, Json] | None:
        until_s = self.kept(name, "timer")
        if until_s is None:
            # Wall time: the moment must mean the same in the next process.
            until_s = time.time() + duration_s * self.envelope.time_scale
            self.keep(name, "timer", until_s)
        self.engine.mark(self.envelope.run, "waiting", name)
        while (found := look()) is None and (left_s := until_s - time.time()) > 0:
            await self.engine.changed(left_s)
        self.engine.mark(self.envelope.run, "running", "")
        return found

    async def emit(self, command: Emit) -> None:
        """Add a run for each consumer; its id makes it start once."""
        if self.kept(command.name, "completion") is None:
            programs = self.engine.scenario.consumers(command.event)
            names = {p.name: f"{command.event}.{command.key}.{p.name}" for p in programs}
            new = {child_envelope(self.envelope, name).run for name in names.values()}
            for run in self.engine.gate.cancelled(command.event, command.payload, new):
                self.engine.store.set_status(run, "cancelled", detail=command.name)
            for program, name in names.items():
                self.engine.start_child(self.envelope, name, program, command.payload)
            self.keep(command.name, "completion", True)  # noqa: FBT003 - JSON

    async def invoke(self, command: Invoke) -> Json:
        """Add a child run and wait until the store has its end."""
        run = self.engine.start_child(self.envelope, command.name, command.program, command.arg)
        self.engine.mark(self.envelope.run, "waiting", command.name)
        while not (view := self.engine.store.views([run], "")[0]).terminal:
            await self.engine.changed(1.0)
        self.engine.mark(self.envelope.run, "running", "")
        if view.status != "completed":
            why = f"its child {run} ended {view.status}"
            raise EscalatedError(why)
        return view.output

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        """Run commands as tasks."""
        return await gather_tasks(commands, one)

    async def now(self, name: str) -> float:
        """Read the wall clock once."""
        return self._once(name, time.time)

    async def draw(self, name: str) -> float:
        """Draw once."""
        return self._once(name, random.random)

    def _once(self, name: str, make: Callable[[], float]) -> float:
        if self.kept(name, "completion") is None:
            value = make()
            self.keep(name, "completion", value)
            return value
        return float(self.kept(name, "completion"))

    async def at(self, phase: str, name: str) -> None:
        """Report a phase to the world."""
        await self.engine.world.at(self.envelope, phase, name)
