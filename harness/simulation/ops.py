"""The commands of a program, as a runtime with a guarantee carries them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.doubt import Intent, Remedy, intend, remedy
from harness.effects import Effect, Guard, Json, Tier, idempotency_key
from harness.faults import Happening
from harness.program import (
    AFTER_ACK,
    FINALIZE,
    Command,
    Emit,
    Invoke,
    One,
    Step,
    WaitFor,
    play,
)
from harness.runtime import Guarantee
from harness.schedule import AFTER, BEFORE, WAITING
from harness.simulation.events import (
    Died,
    Escalated,
    Replanned,
    Spent,
    Stuck,
    drive,
    scopes_of,
)
from harness.words import shown, worded
from harness.world.cell import FENCED, STRANGER, Call


if TYPE_CHECKING:
    from harness.simulation.run import Run


def cleaned(reply: dict[str, Json]) -> dict[str, Json]:
    """Return an answer without the credential, as a gateway passes it on."""
    return {name: value for name, value in reply.items() if name != "sent"}


def recorded(own: dict[str, Json], seen: dict[str, Json] | None) -> dict[str, Json]:
    """Return the answer that was really given; its version is that of the world in memory.

    A real provider has versions of its own, which this world would not know.
    """
    same = seen is not None and seen["status"] == own["status"] == "ok"
    return own if seen is None else {**seen, "etag": own.get("etag", "")} if same else seen


class SimulatedOps:
    """The commands, as a runtime with that guarantee carries them out."""

    armed: frozenset[str] = frozenset({FINALIZE})

    def __init__(self, run: Run) -> None:
        self.run = run
        gated = run.guarantee is Guarantee.EFFECT_ONCE
        # It keeps no step itself: what is a step's is in the effect log.
        waits: dict[str, Any] = {name: kept for name, kept in run.kept.items() if kept is True}
        self.known = waits if gated else dict(run.kept)
        self.told_under: list[int] = []
        self.left: int | None = None
        self.pending: Call | None = None
        self.pending_reply: dict[str, Json] | None = None

    def call(self, command: Step) -> Call:
        self.run.seq += 1
        keyed = self.run.guard is not Guard.NONE and command.op.effect is not Effect.READ
        premises = {premise.path: premise.etag for premise in command.premises}
        if self.run.own:  # it has looked: they hold, whatever it wrote itself since
            premises = {path: self.run.world.cell.etag(path) for path in premises}
            if (tried := self.run.intents.get(command.name)) and tried.expect:
                premises[tried.target] = tried.expect
        # A gateway that knows of no effect makes another key for it.
        life = f"{self.run.run}, wiped" if self.run.wiped else self.run.run
        return Call(
            run=self.run.run,
            step=command.name,
            op=command.op.verb,
            effect=command.op.effect,
            args=command.args,
            key=idempotency_key(life, command.name) if keyed else "",
            premises=[{"path": path, "etag": etag} for path, etag in premises.items()],
            slept_s=command.slept_s,
            incarnation=str(self.run.incarnation),
            seq=self.run.seq,
            epoch=self.run.incarnation if self.run.own else 0,
        )

    def orphan(self, happening: Happening) -> Callable[[], None] | None:
        """Return what the lost attempt still does when it is not dead."""
        if not happening.late:
            return None
        run, pending = self.run, self.pending
        known = {**self.known, **(run.sealed if run.own else {})}
        body = run.world.case.scenario.main.body
        incarnation, reply = run.incarnation, self.pending_reply
        if run.guard is Guard.GATEWAY:
            pending = None  # it was carried on with, and is sealed

        def go_on() -> None:
            now, run.incarnation = run.incarnation, incarnation
            if pending is not None:
                said = reply if reply is not None else run.world.apply(pending)
                run.world.reply(pending, said)
                if said.get("value") == FENCED:  # somebody else holds the run
                    run.incarnation = now
                    return
                known[pending.step] = said
            ops = SimulatedOps(run)
            ops.known, ops.left = known, happening.orphan
            stages, run.stages = run.stages, ()
            try:
                drive(play(body, run.arg, ops))
            except Spent:
                # Its next request is on its way: that shows that it has the answers before it.
                run.world.report(run.run, incarnation)
            except Escalated:
                pass
            finally:
                run.incarnation, run.stages = now, stages

        return go_on

    async def step(self, command: Step) -> dict[str, Json]:
        if command.name in self.known:
            return self.known[command.name]  # type: ignore[no-any-return]
        if self.left is not None:
            # Before a step there is an intent to record, and records are fenced.
            if self.left == 0 or self.run.guarantee is Guarantee.EFFECT_ONCE:
                raise Spent
            self.left -= 1
        reply = self.ask(command) if self.run.logged else self.attempt(command)
        self.known[command.name] = reply
        if self.left is None and self.run.guarantee is not Guarantee.RESTART:
            self.run.kept[command.name] = reply
        if self.left is None:
            nth = self.run.count(command.name, AFTER_ACK)
            self.pending = None
            self.reach(command.name, AFTER_ACK, nth)
        return reply

    def ask(self, command: Step) -> dict[str, Json]:
        """Ask who has the log: what is sealed is not called again, on a false premise nothing is.

        Whom the gateway gave no token is answered nothing, and what it does not cover is refused.
        """
        run, name = self.run, command.name
        if not run.own and (run.shut or not scopes_of(command) <= run.scope):
            return {"status": "rejected", "value": "its token does not allow it"}
        if not run.own and run.slots and name not in run.slots:
            return self.stopped(f"{name} is no step of its program")
        if (found := run.sealed.get(name)) is not None:
            return found
        if not run.own and command.op in run.world.case.scenario.approvals and not run.refused:
            premises = {premise.path: premise.etag for premise in command.premises}
            run.world.history.append("word", run.run, step=name, premises=premises)
        settled = self.settle(command) if run.own and name in run.intents else None
        if settled is None:
            self.hold_to_word(command)
            self.hold_to_premises(command)
            if run.refused and command.op.effect.writes:
                return {"status": "rejected", "value": run.refused}
            if command.op.effect is Effect.READ:
                if name in run.anew:
                    command = replace(command, name=f"{name}@{run.plan}")
                run.read[name] = str(command.args.get("path", ""))
            reply = self.attempt(command)
        else:
            reply = settled
        if not run.own:
            reply = cleaned(reply)
        if not run.refused:
            run.sealed[name] = reply
        return reply

    def drifted(self, command: Step) -> list[str]:
        """Return the premises that are false by a stranger's hand."""
        cell = self.run.world.cell
        return [
            premise.path
            for premise in command.premises
            if cell.etag(premise.path) != premise.etag and STRANGER in cell.authors(premise.path)
        ]

    def hold_to_word(self, command: Step) -> None:
        """Ask a human anew about what has changed since he was asked for his word."""
        run = self.run
        if run.own and self.told_under and command.op in run.world.case.scenario.approvals:
            under = min(self.told_under)
            if any(run.changed.get(premise.path, 0) > under for premise in command.premises):
                raise Escalated

    def hold_to_premises(self, command: Step) -> None:
        """Plan anew where a premise is false, or refuse."""
        if drifted := self.drifted(command):
            self.run.drifted(command.name, drifted)
            if not self.run.refused:
                raise Replanned

    def attempt(self, command: Step) -> dict[str, Json]:
        """Call the world; where there is a log, it has the intent first."""
        run = self.run
        if run.logged and self.left is None and command.op.effect.writes:
            run.intents[command.name] = self.intent(command)
        call = self.call(command)
        if self.left is not None:
            reply = run.world.perform(call)
            run.world.reply(call, reply)
            return reply
        nth = run.count(command.name, "call")
        run.world.history.append("call", run.run, nth=nth, **call.to_json())
        self.pending, self.pending_reply = call, None
        if nth == 1:
            run.meet()
        if self.falls(command.name, BEFORE, nth):
            return self.again(command)
        reply = run.world.apply(call)
        self.pending_reply = reply
        if self.falls(command.name, AFTER, nth):
            return self.again(command)
        run.world.reply(call, reply)
        return reply

    def intent(self, command: Step) -> Intent:
        """Return what is written down before a call; a key is as old as the first attempt."""
        cell, before = self.run.world.cell, self.run.intents.get(command.name)
        return intend(command, cell, before.since_s if before else cell.clock_s)

    def again(self, command: Step) -> dict[str, Json]:
        """Call a step again in place; where there is a log, what is in doubt is settled first."""
        run = self.run
        if run.shut:
            return self.stopped("its log is damaged")
        if run.wiped and command.op in run.world.case.scenario.approvals:
            return self.stopped(f"the word on {command.name} was for an effect that is forgotten")
        if not run.logged or command.name not in run.intents:
            return self.attempt(command)
        try:
            settled = self.settle(command)
        except Escalated:
            return self.stopped(f"nobody knows whether {command.name} was done")
        if settled is not None:
            return settled
        self.hold_to_premises(command)
        return self.attempt(command)

    def stopped(self, why: str) -> dict[str, Json]:
        """Have the gateway stop the run before a human has looked; who can be told, ends it."""
        if self.run.guarantee is Guarantee.EFFECT_ONCE:
            raise Escalated
        self.run.refused = self.run.refused or why
        return {"status": "rejected", "value": self.run.refused}

    def falls(self, step: str, phase: str, nth: int) -> bool:
        """Meet the fault of this point, if any; say whether the step is called again."""
        happening = self.run.stands_at(step, phase, nth)
        if happening is None:
            return False
        if happening.stuck:
            raise Stuck
        if happening.again and not happening.refused:
            self.run.stage += 1
            self.run.spoil(happening)
            return True
        self.fall()
        return False

    def fall(self) -> None:
        """Die here, unless the attempt survives the fault."""
        run, happening = self.run, self.run.stages[self.run.stage][1]
        if happening.dies:
            raise Died
        if happening.drift:
            run.world.drift()
        if happening.revoked:
            ended: list[Json] = [run.run]
            run.world.history.append("fault", fault="model", victim="", revoked=ended)
            run.shut, run.refused = True, "its token was revoked"
        run.stage += 1

    def settle(self, command: Step) -> dict[str, Json] | None:
        """Settle what is in doubt, or hand the run to a human; ``None`` says: call it again."""
        run, cell = self.run, self.run.world.cell
        tier = cell.tier_of(run.intents[command.name].target)
        way = remedy(
            command,
            run.intents[command.name],
            cell,
            keyed=tier is Tier.K and run.guard is not Guard.NONE,
            found=cell.applied(run.run, command.name),
            drifted=bool(self.drifted(command)),
        )
        if way is Remedy.ESCALATE:
            raise Escalated
        return {"status": "ok", "value": None, "etag": ""} if way is Remedy.DONE else None

    async def sleep(self, name: str, duration_s: float) -> None:
        del duration_s
        self.wait(name)

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        under = self.run.waited.setdefault(command.name, self.run.plan)
        self.wait(command.name)
        for signal in self.run.world.case.scenario.signals:
            if (signal.event, signal.key) == (command.event, command.key):
                self.allow(signal.approves)
                self.told_under.append(under)
                return {"payload": signal.payload}
        return None

    def allow(self, step: str) -> None:
        """Note a human's word, once; a gateway asks for one of its own."""
        run, history = self.run, self.run.world.history
        if step and run.guard is not Guard.GATEWAY and not worded(history, run.run, step):
            before = [name for name, kept in self.known.items() if kept is not True]
            premises: dict[str, Json] = {**shown(history, run.run, before)}
            history.append("word", run.run, step=step, premises=premises)

    def wait(self, name: str) -> None:
        if name not in self.known and self.left is None:
            if self.run.stands_at(name, WAITING, self.run.count(name, WAITING)):
                self.fall()
            self.known[name] = True
            if self.run.guarantee is not Guarantee.RESTART:
                self.run.kept[name] = True

    async def emit(self, command: Emit) -> None:
        for program in self.run.world.case.scenario.consumers(command.event):
            name = f"{command.event}.{command.key}.{program.name}"
            self.child(name, program.name, command.payload, awaited=False)

    async def invoke(self, command: Invoke) -> Json:
        # No point: the child is not held, so what a death there means is a race.
        return self.child(command.name, command.program, command.arg, awaited=True)

    def nested(self, run: Run, *, awaited: bool) -> SimulatedOps:
        del awaited
        return SimulatedOps(run)

    def child(self, name: str, program: str, arg: Json, *, awaited: bool) -> Json:
        ident = f"{self.run.run}.{name}"
        if ident not in self.run.children:
            self.run.children.append(ident)
            run = self.run
            child = run.begin(ident, arg)
            body = self.run.world.case.scenario.program(program).body
            self.run.answers[ident] = drive(play(body, arg, self.nested(child, awaited=awaited)))
            self.run.children += child.children
        return self.run.answers[ident]

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        # The armed branch comes last: while it is held, its siblings finish.
        armed = self.run.armed_step()
        answers = {}
        for command in sorted(commands, key=lambda command: command.name == armed):
            answers[command.name] = await one(command)
        return [answers[command.name] for command in commands]

    async def now(self, name: str) -> float:
        del name
        return 0.0

    async def draw(self, name: str) -> float:
        del name
        return 0.0

    async def at(self, phase: str, name: str) -> None:
        del name
        if self.left is None:
            self.pending = None
            self.reach("", phase, self.run.count("", phase))

    def reach(self, step: str, phase: str, nth: int) -> None:
        """Meet the fault of a reported phase, if any; it is reported only where armed."""
        if self.run.stands_at(step, phase, nth):
            self.run.world.history.append(
                "at",
                self.run.run,
                phase=phase,
                nth=nth,
                step=step,
                incarnation=str(self.run.incarnation),
                seq=0,
            )
            self.fall()
