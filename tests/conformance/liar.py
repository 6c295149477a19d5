"""A worker that tells one lie: ``liar.py LIE POLICY FILE``.

It is the embedded worker with one promise broken in this process: a field of the policies is
not seen or is read wrongly, or a command or an event is taken lightly.  The part of a lie's
name before the dash is the primitive whose check must find it, or tell it (`TOLD`).
"""

from __future__ import annotations

import asyncio
import random
import sys
import time

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from harness.effects import Json
from harness.policy import Policy
from harness.program import Command, Emit, Invoke, One, Step, WaitFor
from harness.runtime import Backend, Guarantee, Kind, Start
from harness.scenario import Program
from runtimes.embedded import worker
from runtimes.embedded.adapter import EmbeddedRuntime
from runtimes.embedded.engine import EmbeddedOps, Engine
from runtimes.embedded.gate import Gate


Lie = Callable[[Engine], None]
NEVER_S = 1e6
SLOW_S = 0.7
TELL = "tell "


# Policies that are read wrongly ------------------------------------------------------------


def rewritten(engine: Engine, change: Callable[[Program], Program]) -> None:
    """Let the engine see other programs than it was given."""
    programs = tuple(map(change, engine.scenario.programs))
    engine.scenario = replace(engine.scenario, programs=programs)
    engine.gate = Gate(engine.store, engine.scenario, engine.store.path.stem)


def blind(field: str) -> Lie:
    """Do not see a field of a policy."""
    unset = getattr(Policy(), field)
    return lambda engine: rewritten(
        engine, lambda one: replace(one, policy=replace(one.policy, **{field: unset}))
    )


def misread(field: str, **changes: Any) -> Lie:
    """Read a part of a policy wrongly, or a number as a multiple of it (``times``)."""

    def change(program: Program) -> Program:
        asked = getattr(program.policy, field)
        if asked is None or asked == ():
            return program
        if "times" in changes:
            wrong = asked * changes["times"]
        elif isinstance(asked, tuple):
            wrong = tuple(replace(rule, **changes) for rule in asked)
        else:
            wrong = replace(asked, **changes)
        return replace(program, policy=replace(program.policy, **{field: wrong}))

    return lambda engine: rewritten(engine, change)


def forgotten(field: str) -> Lie:
    """Do not see a field of a policy after a death."""

    def lie(engine: Engine) -> None:
        if engine.store._sql.execute("select epoch from meta").fetchone():
            blind(field)(engine)

    return lie


def lowest_first(engine: Engine) -> None:
    """Take the lowest for the highest."""
    rows = engine.store.rows

    def negated(program: str) -> list[Any]:
        return [
            replace(row, arg={**row.arg, "rank": -row.arg["rank"]})
            if isinstance(row.arg, dict) and "rank" in row.arg
            else row
            for row in rows(program)
        ]

    engine.store.rows = negated  # type: ignore[method-assign]


def honest(engine: Engine) -> None:
    """Tell no lie here: the backend does, see `Twice`."""
    del engine


def first_event_only(engine: Engine) -> None:
    """Hear the first event that a program names, and no other."""
    rewritten(engine, lambda program: replace(program, on=program.on[:1]))


def goes_on(engine: Engine) -> None:
    """Say that a run is cancelled, and go on with it."""
    engine.store.cancelled = set  # type: ignore[method-assign]


# Commands that are taken lightly -----------------------------------------------------------


class Forgets(EmbeddedOps):
    """Keeps nothing of its steps."""

    async def step(self, command: Step) -> dict[str, Json]:
        return await self.attempt(command)


class CountsDeaths(EmbeddedOps):
    """Counts an attempt when it begins, so that one that dies is one too."""

    async def call(self, command: Step) -> dict[str, Json]:
        self.note(command.name, "errors", (self.kept(command.name, "errors") or 0) + 1)
        return await super().call(command)

    async def back_off(self, name: str) -> None:
        assert self.asked.retry
        wait_s = self.asked.retry.first_s * self.asked.retry.factor ** (
            self.kept(name, "errors") - 1
        )
        await asyncio.sleep(wait_s * self.envelope.time_scale)


class CountsAnew(EmbeddedOps):
    """Keeps its count of errors in memory."""

    def note(self, name: str, kind: str, body: Any) -> None:
        self._kept[name, kind] = body


class Slow(EmbeddedOps):
    """Begins what is limited slowly, one after the other, and anything else at once."""

    due_s: ClassVar[float] = 0.0

    async def step(self, command: Step) -> dict[str, Json]:
        if self.asked.concurrency:
            Slow.due_s = max(Slow.due_s, time.monotonic()) + SLOW_S
            await asyncio.sleep(Slow.due_s - time.monotonic())
        return await super().step(command)


class OneByOne(EmbeddedOps):
    """Runs what is gathered one after the other."""

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        return [await one(command) for command in commands]


class Shuffled(EmbeddedOps):
    """Answers what is gathered in another order."""

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        return (await super().gather(commands, one))[::-1]


class LooksAgain(EmbeddedOps):
    """Reads the clock whenever it is asked."""

    async def now(self, name: str) -> float:
        del name
        return time.time()


class DrawsAgain(EmbeddedOps):
    """Draws whenever it is asked."""

    async def draw(self, name: str) -> float:
        del name
        return random.random()  # noqa: S311 - no secret


class DrawsAlike(EmbeddedOps):
    """Draws the same for all."""

    async def draw(self, name: str) -> float:
        return len(name) / 100


class Sleepless(EmbeddedOps):
    """Does not sleep."""

    async def sleep(self, name: str, duration_s: float) -> None:
        del name, duration_s


class LightSleep(EmbeddedOps):
    """Wakes with the next worker."""

    async def sleep(self, name: str, duration_s: float) -> None:
        if self.kept(name, "timer") is None:
            await super().sleep(name, duration_s)


class ToldOne(EmbeddedOps):
    """Starts the first program that listens, and no other."""

    async def emit(self, command: Emit) -> None:
        first = self.engine.scenario.consumers(command.event)[0].name
        name = f"{command.event}.{command.key}.{first}"
        self.engine.start_child(self.envelope, name, first, command.payload)


class ToldAgain(EmbeddedOps):
    """Sends its events again after a death, as new ones."""

    async def emit(self, command: Emit) -> None:
        for program in self.engine.scenario.consumers(command.event):
            name = f"{command.event}.{command.key}.{program.name}.{self.engine.store.epoch}"
            self.engine.start_child(self.envelope, name, program.name, command.payload)


class Impatient(EmbeddedOps):
    """Does not wait for what it starts."""

    async def invoke(self, command: Invoke) -> Json:
        self.engine.start_child(self.envelope, command.name, command.program, command.arg)
        return None


class ChildAgain(EmbeddedOps):
    """Starts a second child after a death."""

    async def invoke(self, command: Invoke) -> Json:
        return await super().invoke(
            replace(command, name=f"{command.name}{'-again' * (self.engine.store.epoch - 1)}")
        )


class AnyEvent(EmbeddedOps):
    """Wakes at any event, for whomever it is."""

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        def look() -> dict[str, Json] | None:
            row = self.engine.store._sql.execute("select payload from events").fetchone()
            return {"payload": row[0]} if row else None

        return await self._wait(command.name, command.timeout_s, look)


class NoTimeout(EmbeddedOps):
    """Gives up at once."""

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        return await super().wait_for(replace(command, timeout_s=0.0))


class NoEarlyEvent(EmbeddedOps):
    """Hears only what comes while it waits."""

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        self.engine.store._sql.execute("delete from events where run=?", (self.envelope.run,))
        return await super().wait_for(command)


def in_place(ops: type[EmbeddedOps]) -> Lie:
    """Carry out the commands of every run by other ones."""

    def lie(engine: Engine) -> None:
        engine.ops = ops

    return lie


def both(*lies: Lie) -> Lie:
    """Tell several lies."""

    def lie(engine: Engine) -> None:
        for one in lies:
            one(engine)

    return lie


# All of them -------------------------------------------------------------------------------


LIES: dict[str, Lie] = {
    "step": in_place(Forgets),
    "retry": blind("retry"),
    "retry-one_more": misread("retry", attempts=4),
    "retry-at_once": misread("retry", first_s=0.0),
    "step_timeout": blind("step_timeout_s"),
    "step_timeout-early": misread("step_timeout_s", times=0.1),
    "gather": in_place(OneByOne),
    "gather-shuffled": in_place(Shuffled),
    "now": in_place(LooksAgain),
    "draw": in_place(DrawsAgain),
    "draw-alike": in_place(DrawsAlike),
    "sleep": in_place(Sleepless),
    "sleep-light": in_place(LightSleep),
    "sleep_until": in_place(Sleepless),
    "emit": in_place(ToldOne),
    "emit-again": in_place(ToldAgain),
    "triggers": first_event_only,
    "invoke": in_place(Impatient),
    "invoke-again": in_place(ChildAgain),
    "wait_for": in_place(AnyEvent),
    "wait_for-no_timeout": in_place(NoTimeout),
    "signal": in_place(NoEarlyEvent),
    "cancel": goes_on,
    "cancel_on": blind("cancel_on"),
    "cancel_on-unconditional": misread("cancel_on", where=None),
    "cancel_previous": blind("cancel_on"),
    "concurrency": blind("concurrency"),
    "concurrency-forgotten": forgotten("concurrency"),
    "concurrency-one_more": misread("concurrency", limit=3),
    "concurrency-slowly": both(misread("concurrency", limit=3), in_place(Slow)),
    "concurrency_key": blind("concurrency"),
    "concurrency_key-for_all": misread("concurrency", key=""),
    "throttle": blind("throttle"),
    "throttle-one_more": misread("throttle", limit=3),
    "rate_limit": blind("rate_limit"),
    "rate_limit-one_more": misread("rate_limit", limit=3),
    "debounce": blind("debounce"),
    "debounce_max": misread("debounce", max_s=NEVER_S),
    "debounce_max-blind": blind("debounce"),
    "batch": blind("batch"),
    "batch-waits": misread("batch", wait_s=NEVER_S),
    "batch-larger": misread("batch", size=4),
    "priority": blind("priority"),
    "priority-lowest": lowest_first,
    "singleton_skip": blind("singleton"),
    "singleton_skip-cancels": misread("singleton", mode="cancel"),
    "singleton_skip-for_all": misread("singleton", key=""),
    "singleton_cancel": blind("singleton"),
    "singleton_cancel-skips": misread("singleton", mode="skip"),
    "singleton_cancel-for_all": misread("singleton", key=""),
    "idempotent_start": honest,
    "dedupe": blind("dedupe"),
    "dedupe-for_all": misread("dedupe", key=""),
    "start_timeout": blind("start_timeout_s"),
    "start_timeout-early": misread("start_timeout_s", times=0.1),
    "finish_timeout": blind("finish_timeout_s"),
    "finish_timeout-early": misread("finish_timeout_s", times=0.1),
    "on_failure": blind("on_failure"),
    "on_failure-forgotten": forgotten("on_failure"),
    "cron": blind("cron"),
    "cron-forgotten": forgotten("cron"),
}


TOLD: dict[str, tuple[Lie, str]] = {
    "retry": (honest, "deaths do not count as attempts"),
    "retry-deaths": (in_place(CountsDeaths), "deaths count as attempts"),
    "retry-anew": (in_place(CountsAnew), "a death begins the count anew"),
}
"""What engines may do as they like: the checks tell it, and the honest runtime's first."""


def runtime(lie: str) -> EmbeddedRuntime:
    """Return a runtime that declares everything, as the checkpoints do."""
    return EmbeddedRuntime(
        name="liar",
        policy="memo",
        guarantee=Guarantee.MEMO,
        kind=Kind.LIBRARY,
        argv=(__file__, lie),
    )


class Twice:
    """A backend that takes a run which is asked for again for another one."""

    def __init__(self, real: Backend) -> None:
        self._real, self._seen = real, set[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def submit(self, starts: Sequence[Start]) -> None:
        for start in starts:
            run = start.envelope.run
            while run in self._seen:
                run += "-again"
            self._seen.add(run)
            self._real.submit([replace(start, envelope=replace(start.envelope, run=run))])


def lying(lie: str) -> Engine:
    """Return an engine that tells a lie."""
    engine = worker.engine()
    (TOLD[lie.removeprefix(TELL)][0] if lie.startswith(TELL) else LIES[lie])(engine)
    return engine


if __name__ == "__main__":
    asyncio.run(worker.work(lying(sys.argv.pop(1))))
