"""The commands of a program in the SDK's terms."""

from __future__ import annotations

import asyncio
import time

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import restate

from harness.effects import Json
from harness.policy import Policy
from harness.program import Command, Emit, Invoke, One, Step, WaitFor
from harness.runtime import Envelope
from harness.worker import child_envelope
from runtimes.restate.declared import emulates
from runtimes.restate.runs import RECORDED, SCENARIO, STOPPED, WORLD, Future, main, started


if EMULATES := emulates(SCENARIO):
    from runtimes.restate import emulated


class RestateOps:
    """One attempt of a run.

    The SDK lets one coroutine at a time wait for the journal.  In a gather that is ``gather``
    itself, and its commands wait in ``_waiting`` for what it sees.
    """

    def __init__(
        self, context: restate.WorkflowContext, envelope: Envelope, policy: Policy
    ) -> None:
        """Serve an attempt."""
        self.armed = frozenset(envelope.armed)
        self._context, self._envelope, self._policy = context, envelope, policy
        self._waiting: dict[Future, asyncio.Future[Future]] | None = None
        self._sent: list[restate.SendHandle] = []

    async def _first(self, *futures: Future) -> Future:
        if self._waiting is None:
            return (await restate.wait_completed(*futures))[0][0]
        seen: asyncio.Future[Future] = asyncio.get_running_loop().create_future()
        self._waiting |= dict.fromkeys(futures, seen)
        return await seen

    async def _value(self, future: Future) -> Any:  # noqa: ANN401 - JSON
        await self._first(future)
        return await future

    def _real(self, duration_s: float) -> timedelta:
        return timedelta(seconds=duration_s * self._envelope.time_scale)

    def _timer(self, name: str, duration_s: float) -> Future:
        return self._context.sleep(self._real(duration_s), name)

    def _options(self) -> restate.RunOptions[Any]:
        retry = self._policy.retry
        if retry is None:
            return RECORDED
        return replace(
            RECORDED,
            max_attempts=retry.attempts,
            initial_retry_interval=self._real(retry.first_s),
            retry_interval_factor=retry.factor,
            max_retry_interval=self._real(retry.max_s),
        )

    async def step(self, command: Step) -> dict[str, Json]:
        """Call the world inside a ``run`` block; a lost reply fails the attempt."""
        limit_s = self._policy.step_timeout_s

        async def perform() -> dict[str, Json]:
            call = WORLD.perform(self._envelope, command)
            if limit_s is None:
                return await call
            return await emulated.limited(call, self._real(limit_s))

        run = self._context.run_typed(command.name, perform, self._options())
        try:
            return dict(await self._value(run))
        except restate.TerminalError as spent:
            if self._policy.retry is None or spent.status_code == STOPPED:
                raise
            return {"status": "failed", "value": spent.message}

    async def sleep(self, name: str, duration_s: float) -> None:
        """Sleep by a timer of the server."""
        await self._value(self._timer(name, duration_s))

    async def emit(self, command: Emit) -> None:
        """Send to whom it concerns; the server holds it once it names the invocations."""
        if EMULATES:
            event = (command.event, command.key, command.payload)
            self._sent += emulated.send(self._context, self._envelope, *event)
        if self._waiting is None:
            await self._named()

    async def _named(self) -> None:
        while self._sent:
            await self._sent.pop(0).invocation_id()

    async def invoke(self, command: Invoke) -> Json:
        """Call a child workflow."""
        child = child_envelope(self._envelope, command.name)
        start = started(child, command.program, command.arg)
        output: Json = await self._value(self._context.workflow_call(main, child.run, start))
        return output

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        """Wait for a durable promise of the workflow, or for a timer."""
        promise: Future = self._context.promise(f"{command.event}/{command.key}").value()
        timer = self._timer(command.name, command.timeout_s)
        return None if await self._first(promise, timer) is timer else dict(await promise)

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        """Begin all in order, then wait for whichever is recorded next."""
        self._waiting = {}
        tasks = [asyncio.ensure_future(one(command)) for command in commands]
        try:
            await asyncio.sleep(0)  # one turn of the loop: each task writes its commands, in order
            await self._named()
            while self._waiting:
                for future in (await restate.wait_completed(*self._waiting))[0]:
                    if not self._waiting[future].done():
                        self._waiting[future].set_result(future)
                self._waiting = {
                    future: seen for future, seen in self._waiting.items() if not seen.done()
                }
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            self._waiting = None

    async def now(self, name: str) -> float:
        """Record the worker's clock."""

        async def clock() -> float:
            return time.time()

        return float(await self._value(self._context.run_typed(name, clock, RECORDED)))

    async def draw(self, name: str) -> float:
        """Draw from the generator that Restate seeds by the invocation."""
        del name
        return self._context.random().random()

    async def at(self, phase: str, name: str) -> None:
        """Report a phase; the run's journal does not know of it."""
        await WORLD.at(self._envelope, phase, name)
