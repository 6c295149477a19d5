"""The worker of a defective reference: ``worker.py DEFECT POLICY FILE``.

Each function below breaks one safeguard of the reference in this process only, and is switched on
by its name.  What is not named here is the reference, unchanged.
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
from runtimes.embedded.engine import Engine
from runtimes.embedded.ops import EmbeddedOps
from runtimes.embedded.store import Store
from runtimes.embedded.worker import work
from runtimes.reference import worker
from runtimes.reference.effect_log import facts as rules
from runtimes.reference.effect_log.errors import FencedError
from runtimes.reference.effect_log.facts import Facts, Standing, Tried
from runtimes.reference.effect_log.log import Receipt, RunLog
from runtimes.reference.effect_log.reading import recover
from runtimes.reference.effect_log.records import Intent, Lease, Outcome, Verdict, Via
from runtimes.reference.effect_log.sqlite import SqliteStore
from runtimes.reference.engine import ReferenceOps
from runtimes.reference.resume.carry import Carrier
from runtimes.reference.resume.session import Given, Session
from runtimes.reference.upstreams.base import Answer
from runtimes.reference.upstreams.world import WorldUpstream


PATIENCE_S = 1.0
Sound = Callable[[ReferenceOps, Step], Awaitable[dict[str, Json]]]
SOUND_STEP: Sound = ReferenceOps.step
SOUND_ATTEMPT = Carrier.attempt
SOUND_FINISH = Engine.finish
SOUND_TAKE_OVER = Store.take_over
SOUND_APPEND = SqliteStore.append
SOUND_PERFORM = Session.perform
SOUND_WRITE = RunLog.append


def recovering(engine: Engine) -> bool:
    """Say whether this worker has taken over from another one."""
    return engine.store.epoch > 1


def known(ops: ReferenceOps, name: str) -> bool:
    """Say whether the log has the end of a step."""
    facts = ops.engine.sessions[ops.envelope.run].facts
    tried = facts.effects.get(name)
    ended = bool(tried) and tried.standing in {Standing.DONE, Standing.NOT_DONE}
    return ended or name in facts.reads or name in facts.decisions


def settling(verdict: Verdict) -> None:
    """Say the same of all that is in doubt."""

    async def settle(self: Carrier, slot: str, *given: Any) -> None:
        del given
        if (tried := self.facts.effects[slot]).standing is Standing.IN_DOUBT:
            await self._resolve(tried.intent, verdict, "a planted defect")

    Carrier.settle = settle


def no_intent() -> None:
    """Write the intent after the call: a death before that leaves nothing in doubt."""

    async def attempt(self: Carrier, intent: Any, premises: Any, context: Any) -> None:
        answer = await self.upstream.call(self.order(intent, premises, context))
        await self.log.append(intent)
        await self._complete(intent, answer, Via.CALL)

    Carrier.attempt = attempt


def blind_retry() -> None:
    """Call again what is in doubt, whatever it is."""
    settling(Verdict.ABSENT)


def ack_early() -> None:
    """Record the completion of a write before the world was called."""

    async def attempt(self: Carrier, intent: Any, premises: Any, context: Any) -> None:
        if not intent.effect.once:
            await SOUND_ATTEMPT(self, intent, premises, context)
            return
        await self.log.append(intent)
        said = {"status": "ok", "value": None, "etag": ""}
        await self._complete(intent, Answer(outcome=Outcome.OK, response=said), Via.CALL)
        await self.upstream.call(self.order(intent, premises, context))

    Carrier.attempt = attempt


def skip_last_step() -> None:
    """Take the last intent that was left open for a completion."""
    settling(Verdict.APPLIED)


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

    async def step(self: ReferenceOps, command: Step) -> dict[str, Json]:
        had = known(self, command.name)
        reply = await SOUND_STEP(self, command)
        if recovering(self.engine) and not had:
            self.engine.store.set_status(self.envelope.run, "running", claim="")
            await asyncio.Event().wait()
        return reply

    ReferenceOps.step = step


def needless_escalation() -> None:
    """Escalate whatever is in doubt, even what may be called again."""
    settling(Verdict.UNKNOWN)


def no_provider_fence() -> None:
    """Tell the provider nothing, and rely on it."""

    async def fence(self: WorldUpstream, run: str, epoch: int) -> bool:
        del self, run, epoch
        return True

    WorldUpstream.fence = fence


def no_fence() -> None:
    """Go on after a later worker has taken over, as if the log had taken it."""

    def append(self: SqliteStore, rows: Any) -> None:
        try:
            SOUND_APPEND(self, rows)
        except FencedError as error:
            print(f"never mind: {error}", file=sys.stderr)

    SqliteStore.append = append
    no_provider_fence()


def old_word() -> None:
    """Take a human's word for good, whatever has changed since he was asked."""

    def hold_to_word(self: ReferenceOps, command: Step) -> None:
        del self, command

    ReferenceOps.hold_to_word = hold_to_word


def otherwise_is_absent() -> None:
    """Take what a stranger may have written over for never done."""
    Tried.overtaken = False


def lease_by_name() -> None:
    """Write for whoever has the name of the run's holder, as if his lease were one's own."""

    async def append(self: RunLog, *records: Any) -> Receipt:
        try:
            return await SOUND_WRITE(self, *records)
        except FencedError:
            found = recover(self.log.store, self.log.anchor, self.run)
            if found.facts.holder != self.log.actor or isinstance(records[0], Lease):
                raise
            self.facts, self.head, self._dead = found.facts, found.head, None
            self._ahead, self._tip = found.facts.copy(), found.head
            return await SOUND_WRITE(self, *records)

    def intent(facts: Facts, _: int, record: Intent) -> None:
        facts.effects[record.slot] = Tried(intent=record, epoch=facts.epoch)

    RunLog.append = append
    rules.TAKES = {**rules.TAKES, Intent: intent}


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

    async def perform(self: Session, wanted: Any) -> Given:
        if self.carrier.upstream.contract(wanted.op, wanted.target).effect is Effect.READ:
            return await self.glance(wanted)
        return await SOUND_PERFORM(self, wanted)

    Session.perform = perform


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

    async def gather(self: ReferenceOps, commands: Sequence[Command], one: One) -> list[Any]:
        if any(known(self, command.name) for command in commands):
            self.taken = {command.name for command in commands}
        return await sound(self, commands, one)

    async def step(self: ReferenceOps, command: Step) -> dict[str, Json]:
        if command.name in self.taken and not known(self, command.name):
            return {"status": "ok", "value": None, "etag": ""}
        return await SOUND_STEP(self, command)

    sound = ReferenceOps.gather
    ReferenceOps.gather, ReferenceOps.step, ReferenceOps.taken = gather, step, frozenset()


def impatient() -> None:
    """Call a step that has no answer yet a second time."""

    async def perform(self: Session, wanted: Any) -> Given:
        try:
            return await asyncio.wait_for(SOUND_PERFORM(self, wanted), PATIENCE_S)
        except TimeoutError:
            return await SOUND_PERFORM(self, wanted)

    Session.perform = perform


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
        no_provider_fence,
        old_word,
        otherwise_is_absent,
        lease_by_name,
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
    with worker.engine() as made:
        asyncio.run(work(made))
