"""The ideal run, which notes what comes before what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.effects import Json
from harness.guardian import Scope
from harness.program import (
    Command,
    Emit,
    Gather,
    Invoke,
    One,
    Step,
    WaitFor,
)
from harness.simulation.events import scopes_of
from harness.simulation.ops import SimulatedOps, recorded
from harness.simulation.run import Run


class Trace(SimulatedOps):
    """The ideal run, which also notes what comes before what."""

    def __init__(self, run: Run, replies: Mapping[tuple[str, str], dict[str, Json]]) -> None:
        super().__init__(run)
        self.replies = replies
        self.commands: set[str] = set()
        self.steps: list[str] = []
        self.waits: list[str] = []
        self.before: dict[str, tuple[str, ...]] = {}
        self.groups: dict[str, str] = {}
        self.owed: list[tuple[str, str]] = []
        self.does: dict[tuple[str, str], frozenset[Scope]] = {}
        self.detached: list[str] = []
        self.begun: dict[str, tuple[str, ...]] = {}
        self.work: dict[str, list[str]] = {}

    async def step(self, command: Step) -> dict[str, Json]:
        self.commands.add("step")
        self.does[self.run.run, command.name] = scopes_of(command)
        self.begun[command.name] = tuple(self.detached)
        reply = await super().step(command)
        reply = recorded(reply, self.replies.get((self.run.run, command.name)))
        self.steps.append(command.name)
        if command.op.effect.writes and reply["status"] == "ok":
            self.owed.append((self.run.run, command.name))
        return reply

    def nested(self, run: Run, *, awaited: bool) -> SimulatedOps:
        """Follow an awaited child too: what it owes, a completed parent owes."""
        inner = Trace(run, self.replies)
        inner.commands, inner.work, inner.does = self.commands, self.work, self.does
        self.work[run.run] = inner.steps
        if awaited:
            inner.owed = self.owed
        return inner

    def wait(self, name: str) -> None:
        self.waits.append(name)
        self.before[name] = tuple(self.steps)
        self.begun[name] = tuple(self.detached)
        super().wait(name)

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        self.commands.add("gather")
        group = Gather(name="gather", commands=tuple(commands)).commands[0].name
        self.groups |= {command.name: group for command in commands}
        return await super().gather(commands, one)

    async def sleep(self, name: str, duration_s: float) -> None:
        self.commands.add("sleep")
        await super().sleep(name, duration_s)

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        self.commands.add("wait_for")
        return await super().wait_for(command)

    async def emit(self, command: Emit) -> None:
        self.commands.add("emit")
        known = len(self.run.children)
        await super().emit(command)
        self.detached += self.run.children[known:]

    async def invoke(self, command: Invoke) -> Json:
        self.commands.add("invoke")
        return await super().invoke(command)

    async def now(self, name: str) -> float:
        self.commands.add("now")
        return await super().now(name)

    async def draw(self, name: str) -> float:
        self.commands.add("draw")
        return await super().draw(name)
