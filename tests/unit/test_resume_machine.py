"""Random plans and interleavings against the recovery code: no oracle of harm may object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.effects import Effect, Json, Tier
from runtimes.reference.effect_log.canonical import canonical
from runtimes.reference.effect_log.errors import FencedError
from runtimes.reference.effect_log.facts import Standing
from runtimes.reference.effect_log.records import Intent
from runtimes.reference.enumeration.agent import Given
from runtimes.reference.enumeration.life import Life, key_of, opened, say
from runtimes.reference.enumeration.oracles import ORACLES, Evidence
from runtimes.reference.enumeration.state import State
from runtimes.reference.enumeration.world import (
    DEADLINE_S,
    EFFECTS,
    RETENTION_S,
    Thing,
    Time,
    World,
)
from runtimes.reference.resume.errors import DriftError, EscalatedError
from runtimes.reference.resume.recovery import take_over
from runtimes.reference.resume.session import Session, Wanted
from runtimes.reference.upstreams.base import UnreachableError


PATHS = ("a", "b", "c")
ALWAYS = [name for name in ORACLES if name[:3].strip() not in {"O2", "O13", "O15", "O16"}]
"""What holds of any program; the others are about the one that the enumeration plays."""


@dataclass(frozen=True)
class Item:
    """A command of a plan; ``rests`` is the path whose last read its premise is."""

    op: str
    path: str
    rests: str = ""


ITEMS = st.builds(
    Item, st.sampled_from(sorted(EFFECTS.keys() - {"copy"})), st.sampled_from(PATHS), st.sampled_from(("", *PATHS))
)  # fmt: skip


async def play(session: Session, plan: list[list[Item]], given: list[Given]) -> None:
    """Carry a plan out to its end, group after group; within one, an escalation stops nobody."""
    while session.facts.terminal is None:
        try:
            read: dict[str, str] = {}
            failed = False
            for group, items in enumerate(plan):
                for place, item in enumerate(items):
                    try:
                        await ask(session, f"{group}/{place}", item, read, given)
                    except EscalatedError:
                        failed = True
                if failed:
                    return
        except DriftError as drift:
            await session.replan(drift)
        except UnreachableError:
            continue
        else:
            await session.end("completed")


async def ask(
    session: Session, slot: str, item: Item, read: dict[str, str], given: list[Given]
) -> None:
    """Carry one command out, and note what was read and given."""
    args: dict[str, Json] = {"options": [1, 2, 3]} if item.op == "ask" else {"value": slot}
    premises = {item.rests: read[item.rests]} if item.rests in read else {}
    if item.op == "set" and item.path in read:
        premises[item.path] = read[item.path]
    found = await session.perform(
        Wanted(
            slot=slot,
            op=item.op,
            target=item.path,
            args=args,
            premises=premises if EFFECTS[item.op].writes else {},
            capability=f"capability {session.facts.epoch}",
        )
    )
    response: Any = found.response
    if item.op == "read" and response.get("etag"):
        read[item.path] = response["etag"]
    if not found.settled:
        given.append((slot, session.facts.plan_epoch, canonical(response)))


class Played(Life):
    """A process that carries a plan out."""

    def __init__(self, state: State, holder: str, plan: list[list[Item]]) -> None:
        """Be born with a plan."""
        self.plan = plan
        self.at = ""
        super().__init__(state, holder)

    async def _live(self) -> None:
        run, world = opened(self.state, self.holder, self.torn), self.state.world
        self.facts = run.facts
        session = await take_over(run, world, world.time, self.holder, key_of)
        await play(session, self.plan, self.state.given)

    def step(self) -> str | None:
        """Go on to the next stop, and remember it."""
        label = super().step()
        self.at = label or ""
        return label

    @property
    def sends(self) -> str:
        """Return the slot of the call that it is about to send, if it is."""
        return self.at.removeprefix("send ") if self.at.startswith("send ") else ""


class Runs(RuleBasedStateMachine):
    """A run, its processes, dead, frozen and alive, and the world."""

    def __init__(self) -> None:
        """Begin with nobody."""
        super().__init__()
        self.lives: list[Played] = []
        self.life: Played | None = None
        self.frozen: Played | None = None
        self.dead: Played | None = None
        self.died_ms = 0
        self.troubled = False

    @initialize(
        tier=st.sampled_from(Tier),
        fences=st.booleans(),
        plan=st.lists(st.lists(ITEMS, min_size=1, max_size=3), min_size=1, max_size=5),
    )
    def begin(self, tier: Tier, fences: bool, plan: list[list[Item]]) -> None:
        """Lay out a world, and begin."""
        things = {path: Thing("old", 1, "") for path in PATHS}
        self.plan = plan
        self.state = State.fresh(tier, fences=fences)
        self.state.world = World(tier, fences, Time(), things)
        self.start()

    @precondition(lambda self: self.life is None)
    @rule()
    def start(self) -> None:
        """Start a process, whatever became of the one before."""
        self.life = Played(self.state, f"life-{len(self.lives) + 1}", self.plan)
        self.lives.append(self.life)

    @precondition(lambda self: self.life)
    @rule(stops=st.integers(1, 12))
    def go_on(self, stops: int) -> None:
        """Drive it to a later stop."""
        assert self.life
        for _ in range(stops):
            if self.life.step() is None:
                self.life = None
                break

    @precondition(lambda self: self.life)
    @rule(arrives=st.booleans())
    def kill(self, arrives: bool) -> None:
        """Kill it; what it was about to send may be on its way."""
        assert self.life
        if arrives and self.life.sends and self.dead is None:
            self.dead, self.died_ms = self.life, self.state.world.time.now
        else:
            self.life.close()
        self.life = None

    @precondition(lambda self: self.dead)
    @rule()
    def arrive(self) -> None:
        """Have the last call of a dead process arrive, unless its deadline has passed."""
        dead, self.dead = self.dead, None
        assert dead
        if self.in_time(dead.sends, self.died_ms):
            dead.step()
        dead.close()

    @precondition(lambda self: self.life and not self.frozen and self.state.world.fences)
    @rule()
    def freeze(self) -> None:
        """Freeze it; another one will take over."""
        self.frozen, self.life = self.life, None

    @precondition(lambda self: self.frozen and self.life is None)
    @rule(stops=st.integers(1, 6))
    def wake(self, stops: int) -> None:
        """Have what was frozen go on for a while, and end."""
        frozen, self.frozen = self.frozen, None
        assert frozen
        for _ in range(stops):
            frozen.step()
        frozen.close()

    @precondition(lambda self: not self.troubled)
    @rule(place=st.integers(0, 4), how=st.sampled_from(("request", "reply", "unreachable")))
    def trouble(self, place: int, how: str) -> None:
        """Have a call come to grief."""
        group = place % len(self.plan)
        self.state.world.trouble = (f"{group}/0", how)
        self.troubled = True

    @rule()
    def astray(self) -> None:
        """Have a request that was lost to its living sender arrive, unless it is too late."""
        order = self.state.world.astray
        if order and self.in_time(order.slot, self.state.world.lost_ms):
            self.state.world.arrive()
        self.state.world.astray = None

    @rule(path=st.sampled_from(PATHS), value=st.sampled_from(("theirs", "old", [])))
    def drift(self, path: str, value: Json) -> None:
        """Have a stranger write: with versions at any time, else while nothing is on its way."""
        if self.state.world.tier is not Tier.V:
            if self.life or self.frozen:
                return
            self.state.world.astray = None
            if self.dead:
                self.dead.close()
                self.dead = None
        self.state.world.drift(path, value)

    @rule(seconds=st.sampled_from((1, 20, 40, RETENTION_S)))
    def later(self, seconds: int) -> None:
        """Let time pass while nobody is about to send: who sends in time is the provider's part."""
        if not (self.life or self.frozen or self.dead):
            self.state.world.time.now += seconds * 1000

    @precondition(lambda self: not (self.life or self.frozen or self.dead))
    @rule()
    def human(self) -> None:
        """Have a human say what nobody else can."""
        say(self.state)

    def in_time(self, slot: str, sent_ms: int) -> bool:
        """Say whether the call of a slot that was sent then may still arrive."""
        sent = [
            record
            for record in self.state.records
            if isinstance(record, Intent)
            and record.slot == slot
            # An attempt that was begun after it has a deadline of its own.
            and record.deadline_ms - DEADLINE_S * 1000 <= sent_ms
        ]
        return bool(sent) and self.state.world.time.now < sent[-1].deadline_ms

    def seen(self) -> Evidence:
        """Return the run so far, as an oracle sees it."""
        facts = opened(self.state, "oracle", []).facts
        return Evidence(self.state.world, self.state.records, facts, self.state.given, None)

    @invariant()
    def no_harm(self) -> None:
        """Nothing was violated so far, and no process fell over."""
        if not self.lives:
            return
        seen = self.seen()
        assert {} == {name: why for name in ALWAYS if (why := list(ORACLES[name](seen)))}
        wrong = [life.error for life in self.lives if life.error]
        assert [] == [error for error in wrong if not isinstance(error, FencedError)]

    def teardown(self) -> None:
        """Have it end: a human says what is asked, and then each write was done as it must be."""
        if not self.lives:
            return
        for left in (self.life, self.frozen, self.dead):
            if left:
                left.close()
        self.state.world.trouble = None
        for _ in range(40):
            self.start()
            assert self.life
            with self.life as last:
                last.finish()
            self.no_harm()
            if last.facts.terminal:
                break
            assert Standing.UNKNOWN in {each.standing for each in last.facts.effects.values()}
            say(self.state)
        assert last.facts.terminal
        done = {slot.partition("@")[0] for slot in last.facts.effects}
        owed = {
            f"{group}/{place}"
            for group, items in enumerate(self.plan)
            for place, item in enumerate(items)
            if EFFECTS[item.op] is not Effect.READ
        }
        assert owed == done
        standings = {each.standing for each in last.facts.effects.values()}
        assert standings <= {Standing.DONE, Standing.NOT_DONE}


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
