"""The commands of a program in the terms of the Inngest SDK.

The server calls a function again for each step, with what was recorded so far; the body runs
from its top each time and is left by an interrupt at the first step without an answer.  So
what is awaited after a step is awaited once the server has it.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import random
import time

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import inngest

from harness.effects import Json
from harness.policy import Policy
from harness.program import AFTER_ACK, Command, Emit, Invoke, One, Step, WaitFor
from harness.runtime import Envelope
from harness.scenario import Scenario
from harness.worker import WorldClient, WorldError, child_envelope
from runtimes.inngest.names import happens, reaches
from runtimes.inngest.reports import Reports


ROUNDED_S = 0.5
"""The server rounds what is left of a sleep to whole seconds, so it may wake so much too early."""
CLIPPED_S = 1.0
"""A retry due in less than this comes at the next whole second, however soon (`ParseRetry`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What all functions of a worker share; ``budget`` is how often the profile retries."""

    name: str
    scenario: Scenario
    client: inngest.Inngest
    world: WorldClient
    reports: Reports
    budget: int | None
    within: Within
    """Ends what takes longer, where a program asks for that."""
    functions: dict[str, inngest.Function[Any]] = field(default_factory=dict)


Within = Callable[[float | None], AbstractAsyncContextManager[object]]


def limit(chosen: Scenario) -> Within:
    """Return what ends a step, loaded where a program asks for it."""
    if not any(program.policy.step_timeout_s for program in chosen.programs):
        return nullcontext
    from runtimes.inngest.emulated import within  # noqa: PLC0415 - only where it is used

    return within


def whole(duration_s: float) -> timedelta:
    """Return a duration that the SDK takes for a timeout: whole seconds, one at least."""
    return timedelta(seconds=max(1, math.ceil(duration_s)))


class InngestOps:
    """One request for a run."""

    def __init__(
        self, context: inngest.Context, envelope: Envelope, policy: Policy, pool: Pool
    ) -> None:
        """Serve a request for a run of ``pool``."""
        self.armed = frozenset(envelope.armed)
        self._context, self._envelope, self._policy = context, envelope, policy
        self._pool, self._reports = pool, pool.reports
        self._aside: list[asyncio.Task[None]] | None = None

    async def step(self, command: Step) -> dict[str, Json]:
        """Call the world inside a step."""
        perform = functools.partial(self._perform, command)
        return dict(await self._context.step.run(command.name, perform))

    async def _perform(self, command: Step) -> dict[str, Json]:
        limit_s = self._policy.step_timeout_s
        try:
            async with self._pool.within(limit_s and limit_s * self._envelope.time_scale):
                reply = await self._pool.world.perform(self._envelope, command)
        except (WorldError, TimeoutError) as error:
            retry, done = self._policy.retry, self._context.attempt + 1
            if retry is None:
                raise
            if done >= retry.attempts:
                return {"status": "failed"}
            wait_s = min(retry.first_s * retry.factor ** (done - 1), retry.max_s)
            after_s = wait_s * self._envelope.time_scale + CLIPPED_S
            raise inngest.RetryAfterError(str(error), timedelta(seconds=after_s)) from error
        if self._aside is not None and f"{command.name}/{AFTER_ACK}" in self.armed:
            self._reports.watch(self._envelope, self._context.run_id, command.name)
        return reply

    async def sleep(self, name: str, duration_s: float) -> None:
        """Sleep by a timer of the server."""
        span_s = duration_s * self._envelope.time_scale + ROUNDED_S
        await self._context.step.sleep(name, timedelta(seconds=span_s))

    async def emit(self, command: Emit) -> None:
        """Send one event: the server starts whoever listens, once for its id."""
        data: dict[str, Any] = {
            "envelope": self._envelope.to_json(),
            "key": command.key,
            "arg": command.payload,
        }
        event = inngest.Event(
            name=happens(self._envelope.pool, command.event),
            id=f"{self._envelope.run}.{command.event}.{command.key}",
            data=data,
        )
        await self._context.step.send_event(command.name, event)

    async def invoke(self, command: Invoke) -> Json:
        """Call a child function."""
        child = child_envelope(self._envelope, command.name)
        data: dict[str, Any] = {"envelope": child.to_json(), "arg": command.arg}
        function = self._pool.functions[command.program]
        output: Json = await self._context.step.invoke(command.name, function=function, data=data)
        return output

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        """Wait for an event to this run; one that was sent before is not seen."""
        run, key = json.dumps(self._envelope.run), json.dumps(command.key)
        event = await self._context.step.wait_for_event(
            command.name,
            event=reaches(self._envelope.pool, command.event),
            if_exp=f"async.data.run == {run} && async.data.key == {key}",
            timeout=whole(command.timeout_s * self._envelope.time_scale),
        )
        return None if event is None else {"payload": dict(event.data)["arg"]}  # type: ignore[dict-item]

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        """Plan all side by side; the server asks again when all have ended.

        Reports of siblings are awaited then, together: until then one that is held must not
        keep back the request for another.
        """
        self._aside = []
        try:
            calls = tuple(functools.partial(one, command) for command in commands)
            answers = await self._context.group.parallel(calls)
            await asyncio.gather(*map(asyncio.shield, self._aside))
        finally:
            self._aside = None
        return list(answers)

    async def now(self, name: str) -> float:
        """Record the worker's clock."""

        async def clock() -> float:
            return time.time()

        return await self._context.step.run(name, clock)

    async def draw(self, name: str) -> float:
        """Record a number of the worker's generator."""

        async def number() -> float:
            return random.random()  # noqa: S311 - no secret

        return await self._context.step.run(name, number)

    async def at(self, phase: str, name: str) -> None:
        """Report a phase; in a gather beside the siblings, which must go on."""
        report = self._reports.begin(self._envelope, phase, name)
        if self._aside is None:
            await asyncio.shield(report)
        else:
            self._aside.append(report)
