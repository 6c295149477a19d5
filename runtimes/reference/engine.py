"""The reference as a runtime: the embedded engine, with every step in an effect log.

Its runs, timers and events are the embedded engine's.  What a step does goes through the run's
session, which is taken over from the worker before: fenced at its provider, with nothing in doubt
that can be known.  Behind a gateway it keeps no step itself: that one has the log.
"""

from __future__ import annotations

import asyncio
import os
import sys

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.effects import Guard, Json, Tier, idempotency_key
from harness.history import step_name
from harness.policy import Policy as Asked
from harness.program import Command, FailedError, One, ProgramError, Step, WaitFor
from harness.runtime import Envelope, Start
from harness.scenario import Program, Scenario
from harness.worker import RefusedError, WorldClient, WorldError
from runtimes.embedded import store
from runtimes.embedded.engine import Engine
from runtimes.embedded.ops import SPENT, EmbeddedOps, EscalatedError, Policy, ReplanError
from runtimes.reference.effect_log.canonical import CanonicalError
from runtimes.reference.effect_log.errors import (
    ConflictError,
    ContradictionError,
    EffectLogError,
    FencedError,
)
from runtimes.reference.effect_log.facts import Standing
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.resume import errors
from runtimes.reference.resume.clock import WallClock
from runtimes.reference.resume.recovery import take_over
from runtimes.reference.resume.session import Session, standing
from runtimes.reference.resume.words import answer_of, side_by_side, wanted_of
from runtimes.reference.upstreams.base import (
    LostError,
    UnknownOperationError,
    UnreachableError,
    UpstreamError,
)
from runtimes.reference.upstreams.world import PERFORM, Post, WorldUpstream


PAUSE_S = 0.1
"""Between two attempts to reach a world that is not there."""


class AheadClock(WallClock):
    """The machine's clock, later by what has passed in the world while nobody was there."""

    def now_ms(self) -> int:
        """Return the milliseconds since 1970."""
        return super().now_ms() + int(float(os.environ.get("BAKEOFF_AHEAD_S") or 0) * 1000)


@contextmanager
def telling() -> Iterator[None]:
    """Say of what the log refuses whether another worker or a human goes on, or nobody.

    Raises:
        FencedError: another worker holds the run.
        EscalatedError: the log cannot go on; what is true stands in it.
        ProgramError: what the program gave cannot be written down.

    """
    try:
        yield
    except CanonicalError as error:
        raise ProgramError(str(error)) from error
    except FencedError as error:
        raise store.FencedError(str(error)) from error
    except EffectLogError as error:
        raise EscalatedError(str(error)) from error


class ReferenceEngine(Engine):
    """All runs of a pool, each with a session over one log."""

    fenced = True

    def __init__(
        self, runs: store.Store, scenario: Scenario, world: WorldClient, log: EffectLog, tier: Tier
    ) -> None:
        """Prepare; ``look`` starts."""
        super().__init__(runs, scenario, Policy.MEMO, world)
        self.log, self.tier, self.clock = log, tier, AheadClock()
        self.sessions: dict[str, Session] = {}
        self.ops = ReferenceOps

    async def _play(self, start: Start, program: Program) -> Json:
        if start.envelope.guard is Guard.GATEWAY:
            return await super()._play(start, program)
        session = self.sessions[start.envelope.run] = await self._hold(start, program.policy)
        try:
            output = await super()._play(start, program)
        except FailedError as error:
            await self._end(session, "failed", why=str(error))
            raise
        await self._end(session, "completed", output)
        return output

    async def _hold(self, start: Start, asked: Asked) -> Session:
        """Take a run over, as soon as its provider can be told."""
        envelope = start.envelope
        limit_s = asked.step_timeout_s
        post = _post(self.world, envelope, limit_s and limit_s * envelope.time_scale)

        # Nobody sends keys for a program that is not to have any.
        def offered(tier: Tier) -> Tier:
            return Tier.O if tier is Tier.K and envelope.guard is Guard.NONE else tier

        providers = {
            name: replace(each, tier=offered(each.tier or self.tier))
            for name, each in self.scenario.providers.items()
        }
        who = self.world.incarnation
        upstream = WorldUpstream(post, envelope.cell, offered(self.tier), who, providers=providers)
        while True:
            with telling():
                log = self.log.open(envelope.run)
                try:
                    session = await take_over(
                        log,
                        upstream,
                        self.clock,
                        self.log.actor,
                        lambda effect_id: idempotency_key(envelope.run, effect_id),
                    )
                except UpstreamError as error:
                    print(f"{envelope.run}: {error}", file=sys.stderr)
                    await asyncio.sleep(PAUSE_S)
                    continue
            if asked.retry:
                session.losses = 1  # the program says how often, and how far apart
            return session

    @staticmethod
    async def _end(session: Session, status: str, output: Json = None, why: str = "") -> None:
        with telling(), suppress(ContradictionError):  # a step was given up: it stays open
            await session.end(status, output, why)


class ReferenceOps(EmbeddedOps):
    """The commands of one run: a step is sealed in the effect log, here or at the gateway."""

    engine: ReferenceEngine

    def __init__(self, engine: Engine, envelope: Envelope, asked: Asked) -> None:
        """Read what was kept of the run; nobody has said anything to this attempt yet."""
        super().__init__(engine, envelope, asked)
        self.told_under: list[int] = []
        """The plans under which it began to wait for what it was told."""

    async def step(self, command: Step) -> dict[str, Json]:
        """Return what the log has of a step, or do it once."""
        if self.envelope.guard is not Guard.GATEWAY:
            return await self.once(command)
        reply = await self.attempt(command)
        if reply["status"] == "replan":
            raise ReplanError(str(reply["value"]))
        if reply["status"] == "escalated":
            raise EscalatedError(str(reply["value"]))
        return reply

    async def once(self, command: Step) -> dict[str, Json]:
        """Have the session do a step; what is lost is settled before it is tried again."""
        session, name = self.engine.sessions[self.envelope.run], command.name
        premises = {premise.path: premise.etag for premise in command.premises}
        wanted = wanted_of(name, command.op, command.args, premises, slept_s=command.slept_s)
        self.hold_to_word(command)
        with telling():
            while not self.spent(name):
                try:
                    return answer_of(await session.perform(wanted))
                except errors.DriftError as drift:
                    await session.replan(drift)
                    raise ReplanError(str(drift)) from drift
                except (errors.ResumeError, ConflictError) as error:
                    raise EscalatedError(str(error)) from error
                except UnknownOperationError as error:
                    return {"status": "rejected", "value": str(error)}
                except UpstreamError as error:
                    print(f"{self.envelope.run} {name}: {error!r}", file=sys.stderr)
                    await self.back_off(name)
            await session.give_up(wanted, "its attempts are used up")
        if command.op.effect.once:
            why = f"{name}: its attempts are used up, and nobody knows whether it was done"
            raise EscalatedError(why)
        return {**SPENT}

    def hold_to_word(self, command: Step) -> None:
        """Hold what a human must allow to what was so when he was asked.

        Which event is his word, the program does not say: the oldest may be.

        Raises:
            EscalatedError: what it rests on has changed since.

        """
        facts, name = self.engine.sessions[self.envelope.run].facts, command.name
        done = standing(facts, name) is Standing.DONE
        if done or command.op not in self.engine.scenario.approvals or not self.told_under:
            return
        under = min(self.told_under)
        paths = [p.path for p in command.premises if facts.drifted.get(p.path, 0) > under]
        if paths:
            why = f"{name}: the word was asked for before {', '.join(paths)} changed; say it anew"
            raise EscalatedError(why)

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        """Wait for an event; under which plan that began is on disk before anything can come."""
        if self.envelope.guard is Guard.GATEWAY:  # which asks a human itself
            return await super().wait_for(command)
        if self.kept(command.name, "plan") is None:
            plan = self.engine.sessions[self.envelope.run].facts.plan_epoch
            self.keep(command.name, "plan", plan)
        found = await super().wait_for(command)
        if found is not None:
            self.told_under.append(self.kept(command.name, "plan"))
        return found

    async def back_off(self, name: str) -> None:
        """Wait as the program asks, or a moment."""
        await super().back_off(name)
        if self.asked.retry is None:
            await asyncio.sleep(PAUSE_S)

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        """Do commands side by side."""
        return await side_by_side(commands, one)


def _post(world: WorldClient, envelope: Envelope, limit_s: float | None) -> Post:
    """Return the worker's own way to the world; a step may take ``limit_s`` seconds."""

    async def post(path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        step = path == PERFORM
        try:
            async with asyncio.timeout(limit_s if step else None):
                reply = await world.post(path, envelope, {**body})
        except RefusedError as error:
            raise UnreachableError(str(error)) from error
        except (WorldError, TimeoutError) as error:
            raise LostError(repr(error)) from error
        if step:
            if reply["status"] == "hang":
                await asyncio.Event().wait()
            world.executed(envelope, step_name(str(body["step"])))
        return reply

    return post


def effects(path: Path) -> Path:
    """Return the folder of the effect log that belongs to a pool's store."""
    return path.with_suffix(".effects")
