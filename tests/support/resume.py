"""Sessions over the enumeration's disk and world, and evidence that is written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.effects import Effect, Tier
from runtimes.reference.effect_log.facts import Facts, Tried
from runtimes.reference.effect_log.records import (
    Completion,
    Intent,
    Lease,
    Plan,
    Record,
    Resolution,
    Terminal,
)
from runtimes.reference.enumeration.agent import Given as Said
from runtimes.reference.enumeration.life import driven, key_of, opened
from runtimes.reference.enumeration.oracles import Evidence
from runtimes.reference.enumeration.state import State
from runtimes.reference.enumeration.world import Applied, Thing, Time, World
from runtimes.reference.resume.recovery import take_over
from runtimes.reference.resume.session import Given, Session, Wanted


NAMES = {"read": "zone", "ask": "plan", "create": "box", "clear": "users", "set": "dns"}


def wanted(slot: str, op: str, target: str = "", **more: Any) -> Wanted:
    """Return a request."""
    args = more.pop("args", {"value": "new"})
    return Wanted(slot=slot, op=op, target=target or NAMES[op], args=args, **more)


@dataclass(slots=True)
class Bench:
    """A run whose processes come and go; nobody stops them unless the world does."""

    tier: Tier
    fences: bool = True
    world: type[World] = World
    state: State = field(init=False)
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        """Lay out a world with a few things."""
        things = {path: Thing("old", 1, "") for path in (*NAMES.values(), "mail")}
        self.state = State.fresh(self.tier, fences=self.fences)
        self.state.world = self.world(self.tier, self.fences, Time(), things)

    def take(self, holder: str = "life", program: str = "") -> Session:
        """Take the run over, in a new process."""
        run, world = opened(self.state, holder, []), self.state.world
        self.session = driven(take_over(run, world, world.time, holder, key_of, program))
        return self.session

    def perform(self, asked: Wanted) -> Given:
        """Ask, and have it done."""
        return driven(self.session.perform(asked))

    def dies(self, asked: Wanted, before: str) -> None:
        """Ask, and die at a stop."""
        coroutine = self.session.perform(asked)
        while not coroutine.send(None).startswith(before):
            pass
        coroutine.close()

    @property
    def done(self) -> list[str]:
        """Return the slots of what was carried out, in order."""
        return [line.slot for line in self.state.world.ledger]


def known(records: Sequence[Record]) -> Facts:
    """Return what records say, by no rules."""
    facts = Facts()
    for record in records:
        match record:
            case Lease():
                facts.epoch = record.epoch
            case Plan():
                facts.plan = record
            case Terminal():
                facts.terminal = record
            case Intent():
                facts.effects[record.slot] = Tried(intent=record, epoch=facts.epoch)
            case Completion() | Resolution():
                tried = facts.effects[record.slot]
                ends: dict[str, Any] = {
                    "completion" if isinstance(record, Completion) else "resolution": record
                }
                facts.effects[record.slot] = Tried(intent=tried.intent, epoch=tried.epoch, **ends)
    return facts


def applied(
    slot: str, effect: Effect = Effect.IRREVERSIBLE, *, epoch: int = 1, rows: int = 3, **more: Any
) -> Applied:
    """Return a line of the ledger; it is of epoch 1, and the log had three records."""
    return Applied(slot, effect, epoch, rows, **{"version": "v2", "stale": False, **more})


def evidence(
    *records: Record,
    ledger: Sequence[Applied] = (),
    fences: bool = True,
    things: Mapping[str, Any] | None = None,
    given: Sequence[Said] = (),
    error: Exception | None = None,
    aged: bool = False,
    drifted: bool = False,
) -> Evidence:
    """Return a run as an oracle sees it."""
    found = {path: Thing(value, 1, "") for path, value in (things or {}).items()}
    world = World(Tier.Q, fences, Time(), found, [*ledger])
    return Evidence(world, [*records], known(records), [*given], error, drifted=drifted, aged=aged)
