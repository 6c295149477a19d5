"""One run: it dies and begins again where its happenings say so; what is kept is the guarantee."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.doubt import Intent
from harness.effects import Guard, Json
from harness.faults import Happening
from harness.guardian import Scope
from harness.history import step_name
from harness.program import (
    play,
)
from harness.runtime import Guarantee
from harness.schedule import Point
from harness.simulation.events import (
    Died,
    Escalated,
    ModelError,
    Replanned,
    Stuck,
    drive,
)
from harness.simulation.ops import SimulatedOps, cleaned
from harness.simulation.world import World
from harness.world.cell import MOVED_ON


CANCELLED, ABSENT = "cancelled", "absent"


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
    changed: dict[str, int] = field(default_factory=dict)
    """The latest plan that each resource forced."""
    waited: dict[str, int] = field(default_factory=dict)
    """Under which plan each wait for an event began."""
    anew: set[str] = field(default_factory=set)
    """The steps that read again what had changed."""
    beside: Callable[[], None] | None = None
    """What a lost attempt still does while the next call of its successor is on its way."""
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

    def begin(self, ident: str, arg: Json) -> Run:
        """Return a child, under the same promises."""
        more: dict[str, Any] = {"scope": self.scope, "slots": self.slots}
        return Run(self.world, ident, self.guarantee, self.guard, (), arg, **more)

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
        if happening.beside and self.guard is not Guard.GATEWAY:  # there one waits for the other
            self.beside, orphan = orphan, None
        return [orphan] if orphan and not happening.early else []

    def meet(self) -> None:
        """Let a lost attempt go on now, if one still does."""
        orphan, self.beside = self.beside, None
        if orphan:
            orphan()

    def carry_on(self, ops: SimulatedOps) -> None:
        """Have the gateway finish the call in flight: it does not die with who asked for it."""
        call, ops.pending = ops.pending, None
        if self.guard is Guard.GATEWAY and call:
            reply = ops.pending_reply or self.world.apply(call)
            if reply["status"] == "rejected" and reply.get("value") == MOVED_ON:
                self.drifted(call.step, [premise["path"] for premise in call.premises])
                return
            self.world.reply(call, reply)
            self.sealed[step_name(call.step)] = cleaned(reply)

    def drifted(self, step: str, paths: Sequence[str]) -> None:
        """Have the gateway plan anew, for who can; refuse what follows, for who cannot."""
        if self.guarantee is not Guarantee.EFFECT_ONCE:
            self.refused = self.refused or f"{step} rests on what has changed"
            return
        self.plan += 1
        self.changed |= dict.fromkeys(paths, self.plan)
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
        self.meet()
        for orphan in late:
            orphan()
        return "escalated" if self.refused else status, output
