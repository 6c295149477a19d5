"""The worker of a defective reference: ``worker.py DEFECT POLICY FILE``.

Each function below breaks one safeguard of ``runtimes.embedded`` in this process only, and
is switched on by its name.  What is not named here is the reference, unchanged.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from harness.effects import Effect, Json
from harness.program import Command, Emit, One, Step
from harness.runtime import Start
from runtimes.embedded import worker
from runtimes.embedded.engine import EmbeddedOps, Engine, EscalatedError, Policy
from runtimes.embedded.store import Record, Store


PATIENCE_S = 1.0
Sound = Callable[[EmbeddedOps, Step], Awaitable[dict[str, Json]]]
SOUND_STEP: Sound = EmbeddedOps.step
SOUND_KEEP = EmbeddedOps.keep
SOUND_FINISH = Engine.finish
SOUND_TAKE_OVER = Store.take_over
SOUND_APPEND = Store.append


def recovering(engine: Engine) -> bool:
    """Say whether this worker has taken over from another one."""
    return engine.store.epoch > 1


def no_intent() -> None:
    """Write no intent: after a death nothing is in doubt, so all is called again."""

    def keep(self: EmbeddedOps, name: str, kind: str, body: Any) -> None:
        if kind != "intent":
            SOUND_KEEP(self, name, kind, body)

    EmbeddedOps.keep = keep


def blind_retry() -> None:
    """Call again what is in doubt, whatever it is."""

    async def resolve(self: EmbeddedOps, command: Step) -> None:
        del self, command

    EmbeddedOps.resolve = resolve


def ack_early() -> None:
    """Record the completion of a write before the world was called."""

    async def step(self: EmbeddedOps, command: Step) -> dict[str, Json]:
        if command.op.effect.once and self.kept(command.name, "completion") is None:
            self.keep(command.name, "completion", {"status": "ok", "value": None, "etag": ""})
            return await self.attempt(command)
        return await SOUND_STEP(self, command)

    EmbeddedOps.step = step


def skip_last_step() -> None:
    """Take the last intent that was left open for a completion."""

    async def step(self: EmbeddedOps, command: Step) -> dict[str, Json]:
        opened = self.kept(command.name, "intent") is not None
        if opened and command.op.effect.writes and self.kept(command.name, "completion") is None:
            return {"status": "ok", "value": None, "etag": ""}
        return await SOUND_STEP(self, command)

    EmbeddedOps.step = step


def never_finish() -> None:
    """Do all the work, and never say so."""

    def finish(self: Engine, run: str, output: Json) -> None:
        if not recovering(self):
            SOUND_FINISH(self, run, output)

    Engine.finish = finish


def drop_run() -> None:
    """Take over the pool, but not the runs that the dead worker had begun."""

    def pending(self: Store) -> list[Start]:
        rows = self._sql.execute("select run from runs where status='queued'").fetchall()
        queued = {row[0] for row in rows}
        return [start for start in sound(self) if start.envelope.run in queued]

    sound = Store.pending
    Store.pending = pending


def give_up() -> None:
    """Recover a run as far as its next step, then let go of it without a word."""

    async def step(self: EmbeddedOps, command: Step) -> dict[str, Json]:
        known = self.kept(command.name, "completion") is not None
        reply = await SOUND_STEP(self, command)
        if recovering(self.engine) and not known:
            self.engine.store.set_status(self.envelope.run, "running", claim="")
            await asyncio.Event().wait()
        return reply

    EmbeddedOps.step = step


def needless_escalation() -> None:
    """Escalate whatever is in doubt, even what may be called again."""

    async def resolve(self: EmbeddedOps, command: Step) -> None:
        del self
        raise EscalatedError(command.name)

    EmbeddedOps.resolve = resolve


def no_fence() -> None:
    """Write on after a later worker has taken over."""

    def append(self: Store, run: str, record: Record, *, fenced: bool = False) -> None:
        del fenced
        SOUND_APPEND(self, run, record)

    Store.append = append


def wrong_output() -> None:
    """Lose the output of a run that was recovered."""

    def finish(self: Engine, run: str, output: Json) -> None:
        SOUND_FINISH(self, run, None if recovering(self) else output)

    Engine.finish = finish


def leaks_credential() -> None:
    """Print the credential to the log, backwards, as if that hid it."""

    def take_over(self: Store) -> None:
        SOUND_TAKE_OVER(self)
        print(f"starting with {os.environ['BAKEOFF_CREDENTIAL'][::-1]}", file=sys.stderr)

    Store.take_over = take_over


def rereads_sealed() -> None:
    """Read again on replay what was read and decided before."""

    async def step(self: EmbeddedOps, command: Step) -> dict[str, Json]:
        if command.op.effect is Effect.READ:
            return await self.attempt(command)
        return await SOUND_STEP(self, command)

    EmbeddedOps.step = step


def hurts_bystanders() -> None:
    """Write off the runs of every other pool in the folder when a worker is replaced."""

    def take_over(self: Store) -> None:
        SOUND_TAKE_OVER(self)
        own = Path(sys.argv[2])
        for other in own.parent.glob("*.db") if self.epoch > 1 else ():
            if other != own:
                sql = sqlite3.connect(other, isolation_level=None, timeout=30.0)
                sql.execute("update runs set status='failed', detail='of a dead worker'")
                sql.close()

    Store.take_over = take_over


def loses_child() -> None:
    """Record that an event was sent, and send nothing."""

    async def emit(self: EmbeddedOps, command: Emit) -> None:
        self.keep(command.name, "completion", True)  # noqa: FBT003 - JSON

    EmbeddedOps.emit = emit


def child_again() -> None:
    """Give a child that is begun again a new name, so that its work is done twice."""

    def start_child(self: Engine, *given: Any) -> str:
        parent, name, program, arg = given
        return sound(self, parent, f"{name}-{self.store.epoch}", program, arg)

    sound = Engine.start_child
    Engine.start_child = start_child


def half_a_gather() -> None:
    """Take a gather for done, after a death, once one branch of it is."""

    async def gather(self: EmbeddedOps, commands: Sequence[Command], one: One) -> list[Any]:
        if any(self.kept(command.name, "completion") for command in commands):
            for command in commands:
                self._kept.setdefault((command.name, "completion"), {"status": "ok"})
        return await sound(self, commands, one)

    sound = EmbeddedOps.gather
    EmbeddedOps.gather = gather


def impatient() -> None:
    """Call a step that has no answer yet a second time."""

    async def attempt(self: EmbeddedOps, command: Step) -> dict[str, Json]:
        try:
            return await asyncio.wait_for(sound(self, command), PATIENCE_S)
        except TimeoutError:
            return await sound(self, command)

    sound = EmbeddedOps.attempt
    EmbeddedOps.attempt = attempt


def sound() -> None:
    """Break nothing."""


DEFECTS = {
    function.__name__: function
    for function in (
        sound,
        no_intent,
        blind_retry,
        ack_early,
        skip_last_step,
        never_finish,
        drop_run,
        give_up,
        needless_escalation,
        no_fence,
        wrong_output,
        leaks_credential,
        rereads_sealed,
        hurts_bystanders,
        loses_child,
        child_again,
        half_a_gather,
        impatient,
    )
}


if __name__ == "__main__":
    DEFECTS[sys.argv.pop(1)]()
    assert sys.argv[1] == Policy.INTENT
    asyncio.run(worker.work(worker.engine()))
