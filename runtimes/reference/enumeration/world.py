"""A world in memory, as a provider of each tier: values with versions, a ledger, late packets.

A request has two stops: before it is applied and before its answer is there.  One that was sent by
a process that is dead by then may still arrive.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from types import coroutine
from typing import Any

from harness.effects import Effect, Json, Tier
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    LostError,
    Order,
    Seen,
    UnknownOperationError,
    UnreachableError,
)


DEADLINE_S, RETENTION_S, LAG_S = 30, 24 * 3600, 5
STRANGER = "stranger"
EFFECTS: Mapping[str, Effect] = {
    "read": Effect.READ,
    "ask": Effect.READ,
    "create": Effect.IDEMPOTENT,
    "copy": Effect.IDEMPOTENT,
    "clear": Effect.IRREVERSIBLE,
    "append": Effect.IRREVERSIBLE,
    "set": Effect.HYBRID,
}


@coroutine
def stop(label: str) -> Generator[str, None, None]:
    """Stand at a moment at which the process may be stopped, until whoever drives goes on."""
    yield label


@dataclass(slots=True)
class Time:
    """The clock of all lives: it moves when somebody waits, and a little with each request."""

    now: int = 1_000_000

    def now_ms(self) -> int:
        """Return the moment (milliseconds)."""
        return self.now

    def mono_ns(self) -> int:
        """Return the same moment (nanoseconds)."""
        return self.now * 1_000_000

    async def until(self, moment_ms: int) -> None:
        """Stand, and then let it be later."""
        await stop("wait")
        self.now = max(self.now, moment_ms)


@dataclass(frozen=True)
class Thing:
    """A value, its version, and who wrote it."""

    value: Json
    version: int
    author: str

    @property
    def etag(self) -> str:
        """Return the version as text."""
        return f"v{self.version}"

    @cached_property
    def hash(self) -> str:
        """Return the hash of the value."""
        return digest(self.value)


NOTHING = Thing(None, 0, "")


@cache
def promise(op: str, tier: Tier, *, fences: bool) -> Contract:
    """Return what a provider of a tier promises of an operation."""
    return Contract(
        effect=EFFECTS[op],
        tier=tier,
        retention_s=RETENTION_S if tier is Tier.K else 0,
        lag_s=LAG_S if tier is Tier.Q else 0,
        deadline_s=DEADLINE_S,
        fenced=fences,
        decides=op == "ask",
    )


@dataclass(frozen=True, slots=True)
class Applied:
    """A line of the ledger: what was done, in which epoch, when the log had how many rows.

    ``stale`` says that it overwrote what a stranger had written since its premise was read,
    ``over`` is the hash of a stranger's value that it rests on and took the place of, if it did.
    """

    slot: str
    effect: Effect
    epoch: int
    rows: int
    version: str
    stale: bool
    over: str = ""


@dataclass(slots=True)
class World:
    """The provider; ``fences`` says whether it refuses older epochs."""

    tier: Tier
    fences: bool
    time: Time
    things: MutableMapping[str, Thing]
    ledger: list[Applied] = field(default_factory=list)
    keys: dict[str, tuple[str, Answer, int]] = field(default_factory=dict)
    done: dict[str, tuple[Answer, int]] = field(default_factory=dict)
    epoch: int = 0
    asked: int = 0
    rows: int = 0
    """How many rows the log has; whoever drives keeps it."""
    trouble: tuple[str, str] | None = None
    """A slot whose next call comes to grief, and how: request, reply, unreachable."""
    astray: Order | None = None
    """A request that was lost to its sender, and may still arrive."""
    lost_ms: int = 0
    """When that was sent."""

    def copy(self) -> World:
        """Return the same world, with a clock of its own."""
        return World(
            self.tier,
            self.fences,
            Time(self.time.now),
            dict(self.things),
            [*self.ledger],
            dict(self.keys),
            dict(self.done),
            self.epoch,
            self.asked,
            self.rows,
            self.trouble,
            self.astray,
            self.lost_ms,
        )

    def thing(self, path: str) -> Thing:
        """Return what is at a path; where there is nothing, version 0 of it."""
        return self.things.get(path, NOTHING)

    def drift(self, path: str, value: Json) -> None:
        """Write as a stranger would."""
        self.things[path] = Thing(value, self.things[path].version + 1, STRANGER)

    # What an upstream does --------------------------------------------------------------------

    def contract(self, op: str, target: str) -> Contract:
        """Return the tier for writes; reads and questions may be repeated anyway."""
        del target
        if op not in EFFECTS:
            msg = f"the world has no {op!r}"
            raise UnknownOperationError(msg)
        return promise(op, self.tier, fences=self.fences)

    async def call(self, order: Order) -> Answer:
        """Apply an order between two stops; a read has none, since it changes nothing."""
        if not EFFECTS[order.op].writes:
            return self.apply(order)
        await stop(f"send {order.slot}")
        how = self.trouble[1] if self.trouble and self.trouble[0] == order.slot else ""
        if how:
            self.trouble = None
        if how == "unreachable":
            raise UnreachableError(order.slot)
        if how == "request":
            self.astray, self.lost_ms = order, self.time.now
            raise LostError(order.slot)
        answer = self.apply(order)
        if how == "reply":
            raise LostError(order.slot)
        await stop(f"answer {order.slot}")
        return answer

    async def query(self, order: Order) -> Answer | None:
        """Return what was done under a key, if it is long enough ago."""
        await stop(f"query {order.slot}")
        found = self.done.get(order.key)
        seen = found and self.time.now >= found[1] + LAG_S * 1000
        return found[0] if found and seen else None

    async def look(self, resource: str) -> Seen:
        """Return a value with its version."""
        await stop(f"look {resource}")
        thing = self.thing(resource)
        return Seen(resource=resource, version=thing.etag, value_hash=thing.hash)

    def desired(self, order: Order) -> str:
        """Return the hash of what a ``set`` or ``clear`` leaves behind."""
        if order.op == "set":
            return digest(order.args["value"])
        return digest([]) if order.op == "clear" else ""

    async def fence(self, run: str, epoch: int) -> bool:
        """Refuse older epochs, if this provider can."""
        del run
        await stop("fence")
        if self.fences:
            self.epoch = max(self.epoch, epoch)
        return self.fences

    def arrive(self) -> None:
        """Let a request that went astray arrive."""
        if self.astray:
            order, self.astray = self.astray, None
            self.apply(order)

    # What it does with an order ---------------------------------------------------------------

    def apply(self, order: Order) -> Answer:
        """Carry an order out, or refuse it, in one uninterrupted block."""
        self.time.now += 1
        if self.fences and order.epoch < self.epoch:
            return Answer(outcome=Outcome.FAILED_BEFORE, response={"status": "fenced"})
        effect = EFFECTS[order.op]
        if effect is Effect.READ:
            return self._answer(order)
        asks = digest([order.op, dict(order.args)]) if self.tier is Tier.K else ""
        stored = self.keys.get(order.key) if self.tier is Tier.K else None
        if stored and self.time.now < stored[2] + RETENTION_S * 1000:
            if stored[0] != asks:
                return Answer(outcome=Outcome.FAILED_BEFORE, response={"status": "mismatch"})
            return replace(stored[1], replayed=True)
        if self.tier is Tier.V and not self._expected(order):
            return Answer(outcome=Outcome.CONFLICT, response={"status": "conflict"})
        answer = self._write(order)
        if self.tier is Tier.K:
            self.keys[order.key] = (asks, answer, self.time.now)
        self.done[order.key] = (answer, self.time.now)
        return answer

    def _expected(self, order: Order) -> bool:
        wanted = {order.target: order.expect} if order.expect else {}
        wanted |= order.premises
        return all(self.thing(path).etag == version for path, version in wanted.items())

    def _answer(self, order: Order) -> Answer:
        if order.op == "ask":
            self.asked += 1
            options: Any = order.args["options"]
            turn = self.asked % len(options)
            return Answer(outcome=Outcome.OK, response={"value": options[turn:] + options[:turn]})
        thing = self.thing(order.target)
        return Answer(
            outcome=Outcome.OK,
            response={"value": thing.value, "etag": thing.etag},
            resource=order.target,
            value_hash=thing.hash,
            after=thing.etag,
        )

    def _write(self, order: Order) -> Answer:
        path = str(order.args.get("to", order.target))
        before = self.thing(path)
        value = order.args.get("value")
        if order.op == "copy":
            value = self.things[order.target].value
        elif order.op == "clear":
            value = []
        elif order.op == "append":
            value = [*(before.value if isinstance(before.value, list) else []), value]
        after = Thing(value, before.version + 1, order.slot)
        self.things[path] = after
        stale = any(
            self.things[name].author == STRANGER or (name == path and before.author == STRANGER)
            for name, version in order.premises.items()
            if (before if name == path else self.things[name]).etag != version
        )
        over = before.hash if path in order.premises and before.author == STRANGER else ""
        line = Applied(
            order.slot, EFFECTS[order.op], order.epoch, self.rows, after.etag, stale, over
        )
        self.ledger.append(line)
        return Answer(
            outcome=Outcome.OK,
            response={"status": "ok", "etag": after.etag},
            resource=path,
            before=before.etag,
            after=after.etag,
            ref=f"{order.slot}/{after.etag}",
        )
