"""An agent on the reference runtime, in one process: a program, a provider, a log.

The program is the same sans-IO coroutine that every runtime plays.  Each step goes through a
session, so whoever plays it again is given what the first one was given, and does what is left.
Events and children need an engine: here there is none.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from harness.effects import Json
from harness.program import (
    Body,
    Command,
    Emit,
    FailedError,
    Invoke,
    One,
    ProgramError,
    Step,
    WaitFor,
    play,
)
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.effect_log.records import Decision
from runtimes.reference.resume.clock import Clock
from runtimes.reference.resume.errors import DriftError, EscalatedError
from runtimes.reference.resume.recovery import take_over
from runtimes.reference.resume.session import Session
from runtimes.reference.resume.words import asked_of, side_by_side, told_of
from runtimes.reference.upstreams.base import Upstream


@dataclass(slots=True)
class SessionOps:
    """The commands of a program, over a session; ``told`` hears of each step as it ends."""

    session: Session
    told: Callable[[str, dict[str, Json]], None]
    armed: frozenset[str] = field(default_factory=frozenset)

    async def step(self, command: Step) -> dict[str, Json]:
        """Ask the session: it answers from the log, or does it once."""
        premises = {premise.path: premise.etag for premise in command.premises}
        wanted = asked_of(command.name, command.op.verb, command.args, premises)
        given = await self.session.perform(wanted)
        reply = told_of(given)
        logged: dict[str, Json] = {"status": f"{reply['status']}, from the log"}
        self.told(command.name, logged if given.logged else reply)
        return reply

    async def sleep(self, name: str, duration_s: float) -> None:
        """Sleep until a moment that is written down."""
        until_s = await self._once(name, lambda: time.time() + duration_s)
        await asyncio.sleep(max(0.0, until_s - time.time()))

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        """Do commands side by side."""
        return await side_by_side(commands, one)

    async def now(self, name: str) -> float:
        """Read the clock once."""
        return await self._once(name, time.time)

    async def draw(self, name: str) -> float:
        """Draw once."""
        return await self._once(name, random.random)

    async def _once(self, name: str, make: Callable[[], float]) -> float:
        found = self.session.facts.decisions.get(name)
        if found is None:
            found = Decision(slot=name, asked_hash="", output=make())
            await self.session.carrier.log.append(found)
        return float(found.output)  # type: ignore[arg-type]

    async def emit(self, command: Emit) -> None:
        """Refuse: there is nobody to start."""
        _refuse(command)

    async def invoke(self, command: Invoke) -> Json:
        """Refuse: there is nobody to run a child."""
        _refuse(command)

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        """Refuse: nobody sends events."""
        _refuse(command)

    async def at(self, phase: str, name: str) -> None:
        """Report to nobody: no harness watches."""


def _refuse(command: Command) -> NoReturn:
    msg = (
        f"{command.name}: an agent without an engine has no events and no children; "
        "run it on a runtime of `bakeoff list`"
    )
    raise ProgramError(msg)


def program_hash(reference: str) -> str:
    """Return what a log knows a program by: its file and its name."""
    return hashlib.sha256(reference.encode()).hexdigest()


async def work(
    log: EffectLog,
    run: str,
    upstream: Upstream,
    body: Body,
    arg: Json,
    clock: Clock,
    *,
    program: str,
    told: Callable[[str, dict[str, Json]], None],
) -> Session:
    """Begin a run, or go on with it, to its end or until a human must say something.

    Raises:
        PlanError: another program began it.
        UpstreamError: a provider cannot be had; what is done is done, resume later.
        EffectLogError: the log refuses, or cannot go on.

    """

    def key_of(effect_id: str) -> str:
        return hashlib.sha256(f"{run}/{effect_id}".encode()).hexdigest()[:40]

    opened = log.open(run)
    steps_hash = program_hash(program)
    session = await take_over(opened, upstream, clock, log.actor, key_of, steps_hash)
    while session.facts.terminal is None:
        try:
            output = await play(body, arg, SessionOps(session, told))
        except DriftError as drift:
            told("new plan", {"status": str(drift)})
            await session.replan(drift)
        except EscalatedError as error:
            told("escalated", {"status": str(error)})
            break
        except FailedError as error:
            await session.end("failed", why=str(error))
        else:
            await session.end("completed", output)
    return session
