"""A runtime with a given guarantee, in memory: what the model drives.

``World`` is a cell with a history, as the HTTP face has them.  ``Run`` plays a body over
``SimulatedOps`` until its end, dying and beginning again where its happenings say so; what
is kept in between is the guarantee.  ``Trace`` is the ideal run, with notes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.doubt import Intent, Remedy, intend, remedy
from harness.effects import Effect, Guard, Json, Tier, idempotency_key
from harness.faults import Happening
from harness.guardian import Scope
from harness.history import History
from harness.program import (
    AFTER_ACK,
    FINALIZE,
    Command,
    Emit,
    Gather,
    Invoke,
    One,
    Step,
    WaitFor,
    play,
)
from harness.runtime import Guarantee
from harness.scenario import Answer, Case
from harness.schedule import AFTER, BEFORE, WAITING, Point
from harness.words import shown, worded
from harness.world.cell import FENCED, MOVED_ON, STRANGER, Call, Cell, resources


CANCELLED, ABSENT = "cancelled", "absent"
CREDENTIAL = "the credential of the model"


class ModelError(Exception):
    """The body does something that the model cannot follow."""


class Died(Exception):  # noqa: N818 - an event, not an error
    """The attempt reached its point."""


class Escalated(Exception):  # noqa: N818 - an event, not an error
    """The runtime hands the run to a human."""


class Stuck(Exception):  # noqa: N818 - an event, not an error
    """Nobody will go on."""


class Replanned(Exception):  # noqa: N818 - an event, not an error
    """The plan does not hold: the body begins anew over what is sealed."""


class Spent(Exception):  # noqa: N818 - an event, not an error
    """An orphaned attempt has no step left."""


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - a program's result
    """Run a coroutine that never waits, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        coroutine.close()
    msg = "the model's commands never wait, but the body did"
    raise ModelError(msg)


def scopes_of(command: Step) -> frozenset[Scope]:
    """Return all that a step does, as a guard would permit it."""
    verb, effect = command.op.verb, command.op.effect
    return frozenset(Scope(verb, effect, path) for path in resources(verb, command.args))


@dataclass(slots=True)
class World:
    """A cell with a history, as the HTTP face has them."""

    case: Case
    cell: Cell
    history: History
    recorded: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def of(
        cls, case: Case, recorded: Mapping[str, Json], given: Collection[Answer] | None = None
    ) -> World:
        answers = case.answers if given is None else tuple(given)
        return cls(case, Cell.in_case(case, answers), History(), recorded)

    def perform(self, call: Call) -> dict[str, Json]:
        nth = 1 + sum(
            event.kind == "call" and (event.run, event.data["step"]) == (call.run, call.step)
            for event in self.history
        )
        self.history.append("call", call.run, nth=nth, **call.to_json())
        return self.apply(call)

    def apply(self, call: Call) -> dict[str, Json]:
        outcome = self.cell.apply(call, CREDENTIAL)
        if outcome.applied:
            self.history.append(
                "apply", call.run, **call.to_json(), premise_broken=list(outcome.premise_broken)
            )
        if call.op == "ask" and call.step in self.recorded:
            return {"status": "ok", "value": self.recorded[call.step]}
        return outcome.reply

    def drift(self) -> None:
        """Have a stranger write."""
        for path, value in self.case.scenario.drift.items():
            self.cell.write(path, value, STRANGER)

    def report(self, run: str, incarnation: int) -> None:
        self.history.append(
            "at", run, phase=AFTER_ACK, nth=1, step="", incarnation=str(incarnation), seq=0
        )

    def reply(self, call: Call, reply: dict[str, Json]) -> None:
        self.history.append(
            "reply",
            call.run,
            reply=reply,
            step=call.step,
            incarnation=call.incarnation,
            seq=call.seq,
        )


@dataclass(slots=True)
class Run:
    """One run under one choice of happenings."""

    world: World
    run: str
    guarantee: Guarantee
    guard: Guard
    stages: Sequence[tuple[Point, Happening]]
    arg: Json
    kept: dict[str, Any] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    """What was about to be called, where somebody writes that down."""
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    sealed: dict[str, dict[str, Json]] = field(default_factory=dict)
    """What the effect log has of the run: whoever asks again is answered from there."""
    refused: str = ""
    """Why the gateway does nothing more for the run."""
    scope: frozenset[Scope] = frozenset()
    """What the gateway lets the run do."""
    slots: frozenset[str] = frozenset()
    """What its program has; the gateway stops a run that asks for another one."""
    shut: bool = False
    """The gateway does not even answer it any more."""
    wiped: bool = False
    """The gateway has forgotten what it did for the run."""
    plan: int = 1
    read: dict[str, str] = field(default_factory=dict)
    """What was read by which step."""
    anew: set[str] = field(default_factory=set)
    """The steps that read again what had changed."""
    children: list[str] = field(default_factory=list)
    answers: dict[str, Json] = field(default_factory=dict)
    stage: int = 0
    incarnation: int = 1
    seq: int = 0

    @property
    def logged(self) -> bool:
        """Say whether an effect log has its steps: the runtime's own, or the gateway's."""
        return self.own or self.guard is Guard.GATEWAY

    @property
    def own(self) -> bool:
        """Say whether that log is the runtime's, and falls silent with its worker."""
        return self.guarantee is Guarantee.EFFECT_ONCE and self.guard is not Guard.GATEWAY

    def count(self, step: str, phase: str) -> int:
        self.counts[step, phase] = self.counts.get((step, phase), 0) + 1
        return self.counts[step, phase]

    def stands_at(self, step: str, phase: str, nth: int) -> Happening | None:
        if self.stage < len(self.stages):
            point, happening = self.stages[self.stage]
            if point == Point(step, phase, nth):
                return happening
        return None

    def armed_step(self) -> str:
        return self.stages[self.stage][0].step if self.stage < len(self.stages) else ""

    def refuse(self, ops: SimulatedOps, happening: Happening) -> None:
        """Go no further; a runtime that repeats calls may repeat the one in flight before."""
        taken: list[Json] = [self.run] if happening.refused == CANCELLED else []
        self.world.history.append(
            "fault", fault="model", victim=str(self.incarnation), cancelled=taken
        )
        if orphan := ops.orphan(happening):
            orphan()
        self.incarnation += 1
        again = happening.again and self.guarantee is not Guarantee.EFFECT_ONCE
        if again and ops.pending and self.guard is not Guard.GATEWAY:  # that answers from its log
            call = replace(ops.pending, incarnation=str(self.incarnation), seq=self.seq + 1)
            self.world.reply(call, self.world.perform(call))

    def lose(self, ops: SimulatedOps, happening: Happening) -> list[Callable[[], None]]:
        """Lose the attempt in flight; return what is still to come of it at the end."""
        orphan = ops.orphan(happening)
        if orphan and happening.early:
            self.carry_on(ops)
            orphan()
        self.world.history.append("fault", fault="model", victim=str(self.incarnation))
        if happening.drift:
            self.world.drift()
        self.world.cell.age(happening.aged_s)
        self.carry_on(ops)
        self.incarnation += 1
        if self.own:  # whoever takes over has older calls refused
            self.world.cell.fence(self.run, self.incarnation)
        if happening.version:
            self.world.case = self.world.case.at(happening.version)
        if happening.rewound:
            self.forget()
        if self.guarantee is Guarantee.RESTART:
            self.kept.clear()
        return [orphan] if orphan and not happening.early else []

    def carry_on(self, ops: SimulatedOps) -> None:
        """Have the gateway finish the call in flight: it does not die with who asked for it."""
        call, ops.pending = ops.pending, None
        if self.guard is Guard.GATEWAY and call:
            reply = ops.pending_reply or self.world.apply(call)
            if reply["status"] == "rejected" and reply.get("value") == MOVED_ON:
                self.drifted(call.step, [premise["path"] for premise in call.premises])
                return
            self.world.reply(call, reply)
            self.sealed[call.step] = cleaned(reply)

    def drifted(self, step: str, paths: Sequence[str]) -> None:
        """Have the gateway plan anew, for who can; refuse what follows, for who cannot."""
        if self.guarantee is not Guarantee.EFFECT_ONCE:
            self.refused = self.refused or f"{step} rests on what has changed"
            return
        self.plan += 1
        for name in [name for name, path in self.read.items() if path in paths]:
            self.sealed.pop(name, None)
            self.anew.add(name)

    def spoil(self, happening: Happening) -> None:
        """Have the gateway lose what a fault takes from it."""
        if happening.damaged:
            self.shut, self.refused = True, "its log is damaged"
        if happening.wiped:
            self.sealed.clear()
            self.intents.clear()
            self.wiped = True

    def forget(self) -> None:
        """Lose every record, as when an older store takes the place of the present one."""
        self.kept.clear()
        self.intents.clear()
        self.children.clear()
        self.answers.clear()

    def died(self, ops: SimulatedOps, late: list[Callable[[], None]]) -> str | None:
        """Lose the attempt; return how the run ends, if nobody tries again."""
        happening = self.stages[self.stage][1]
        if happening.refused:
            self.refuse(ops, happening)
            return happening.refused
        if happening.given_up or happening.lost:
            return "dead" if happening.given_up else ABSENT
        if happening.rewound and self.own:
            return "escalated"  # its head stands elsewhere: the log is not whole
        self.stage += 1
        late += self.lose(ops, happening)
        return None

    def finish(self) -> tuple[str, Json]:
        """Play to the end; return how it ended."""
        late: list[Callable[[], None]] = []
        while True:
            ops = SimulatedOps(self)
            try:
                output = drive(play(self.world.case.scenario.main.body, self.arg, ops))
            except Died:
                if (end := self.died(ops, late)) is not None:
                    status, output = end, None
                    break
            except Escalated:
                status, output = "escalated", None
                break
            except Replanned:
                continue
            except Stuck:
                status, output = "running", None
                break
            except ModelError:
                raise
            except Exception:
                if not self.shut:
                    raise
                # The body's own: with nothing but refusals it cannot go on.
                status, output = "failed", None
                break
            else:
                status = "completed"
                break
        for orphan in late:
            orphan()
        return "escalated" if self.refused else status, output


def cleaned(reply: dict[str, Json]) -> dict[str, Json]:
    """Return an answer without the credential, as a gateway passes it on."""
    return {name: value for name, value in reply.items() if name != "sent"}


class SimulatedOps:
    """The commands, as a runtime with that guarantee carries them out."""

    armed: frozenset[str] = frozenset({FINALIZE})

    def __init__(self, run: Run) -> None:
        self.run = run
        gated = run.guarantee is Guarantee.EFFECT_ONCE
        # It keeps no step itself: what is a step's is in the effect log.
        waits: dict[str, Any] = {name: kept for name, kept in run.kept.items() if kept is True}
        self.known = waits if gated else dict(run.kept)
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
        self.wait(command.name)
        for signal in self.run.world.case.scenario.signals:
            if (signal.event, signal.key) == (command.event, command.key):
                self.allow(signal.approves)
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
            more: dict[str, Any] = {"scope": run.scope, "slots": run.slots}
            child = Run(run.world, ident, run.guarantee, run.guard, (), arg, **more)
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


def recorded(own: dict[str, Json], seen: dict[str, Json] | None) -> dict[str, Json]:
    """Return the answer that was really given; its version is that of the world in memory.

    A real provider has versions of its own, which this world would not know.
    """
    same = seen is not None and seen["status"] == own["status"] == "ok"
    return own if seen is None else {**seen, "etag": own.get("etag", "")} if same else seen


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
