"""A gateway in memory's reach: a provider that obeys the test, clocks that jump, a real log."""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from opentelemetry import trace

from harness.effects import Effect, Json, Tier
from runtimes.reference.effect_log.anchor import FileAnchor
from runtimes.reference.effect_log.canonical import hashed
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.effect_log.sqlite import SqliteStore
from runtimes.reference.effect_log.store import Store
from runtimes.reference.gateway.admissions import Admission, Admissions
from runtimes.reference.gateway.approval import Approvals
from runtimes.reference.gateway.approval_file import FileStore
from runtimes.reference.gateway.audit import Audit
from runtimes.reference.gateway.clock import Watch
from runtimes.reference.gateway.gateway import Gateway
from runtimes.reference.gateway.grant import Grant
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.resume.session import Given, Wanted
from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    LostError,
    Order,
    Seen,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.refusal import Refusal, refused
from support.gateway import HandClock


ME = "uid:1000:1000"
SECRET, CANARY = "sk-live-4c1f9a77e2b04d6d", "tr4p-0d9a6b1c8e7f4a52"
PAY, NOTE, READ = "append.irreversible", "set.idempotent", "read.read"
COPY = "copy.idempotent"
GRANTS = (
    Grant(PAY, "charges/"),
    Grant(NOTE, "notes/"),
    Grant(READ, "notes/"),
    Grant(COPY, "notes/"),
)


@dataclass
class Desk:
    """A provider: ``trouble`` has the next calls come to grief, ``hold`` has them wait.

    What it did stands in ``ledger``: the slot of each call that was carried out.
    """

    tier: Tier = Tier.K
    echo: Json = "thanks"
    ledger: list[str] = field(default_factory=list)
    keys: dict[str, Answer] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None
    came: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Once for each call that has come."""
    fences: dict[str, int] = field(default_factory=dict)

    def contract(self, op: str, target: str) -> Contract:
        del target
        verb, _, effect = op.partition(".")
        if verb not in {"append", "set", "read", "copy"}:
            raise UnknownOperationError(op)
        return Contract(
            effect=Effect(effect),
            tier=self.tier,
            retention_s=86_400 if self.tier is Tier.K else 0,
            deadline_s=2,
            fenced=True,
        )

    async def call(self, order: Order) -> Answer:
        self.came.release()
        how = self.trouble.pop(0) if self.trouble else ""
        if self.hold:
            await self.hold.wait()
        if how == "unreachable":
            raise UnreachableError(order.slot)
        if how == "refused":
            return refused(Refusal.REFUSED)
        if how == "lost before":
            raise LostError(order.slot)
        answer = self._carried_out(order)
        if how == "lost":
            raise LostError(order.slot)
        return answer

    def _carried_out(self, order: Order) -> Answer:
        if self.tier is Tier.K and (stored := self.keys.get(order.key)) and order.key:
            return replace(stored, replayed=True)
        reads = order.op.endswith(".read")
        if not reads:
            self.ledger.append(order.slot)
        count = len(self.ledger)
        answer = Answer(
            outcome=Outcome.OK,
            response={"status": "ok", "value": self.echo, "etag": f"v{count}"},
            resource=order.target,
            value_hash=hashed(self.echo) if reads else "",
            after=f"v{count}",
        )
        self.keys[order.key] = answer
        return answer

    async def query(self, order: Order) -> Answer | None:
        return self.keys.get(order.key)

    async def look(self, resource: str) -> Seen:
        return Seen(resource=resource, version=f"v{len(self.ledger)}", value_hash=hashed(self.echo))

    def desired(self, order: Order) -> str:
        del order
        return ""

    async def fence(self, run: str, epoch: int) -> bool:
        self.fences[run] = epoch
        return True


@dataclass
class HandTime:
    """Time for waiting: it jumps there."""

    now: int = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.now

    async def until(self, moment_ms: int) -> None:
        self.now = max(self.now, moment_ms)
        await asyncio.sleep(0)


def admission(run: str = "r", **more: Any) -> Admission:
    """Return what lets ``ME`` act for a run."""
    fields: dict[str, Any] = {"peer": ME, "grants": GRANTS, "ttl_s": 60.0}
    return Admission(run=run, **{**fields, **more})


def pay(slot: str = "pay", **more: Any) -> Wanted:
    """Return a payment."""
    fields: dict[str, Any] = {"op": PAY, "target": "charges/anna", "args": {"value": 500}}
    return Wanted(slot=slot, **{**fields, **more})


@dataclass
class Rig:
    """A gateway, all that it works with, and a short way to ask it."""

    gateway: Gateway
    desk: Desk
    clock: HandClock
    folder: Path

    async def ask(self, wanted: Wanted | None = None, run: str = "r", **more: Any) -> Given:
        """Ask as ``ME``."""
        return await self.gateway.perform(more.pop("peer", ME), wanted or pay(), run, **more)

    def lines(self) -> list[str]:
        """Return the audit."""
        return (self.folder / "audit.jsonl").read_text().splitlines()


@contextmanager
def rig(
    folder: Path,
    desk: Desk | None = None,
    *,
    clock: HandClock | None = None,
    keyring: Keyring | None = None,
    store: Callable[[Store], Store] = lambda store: store,
    tracer: trace.Tracer | None = None,
    admissions: tuple[Admission, ...] = (admission(),),
) -> Iterator[Rig]:
    """Lend a gateway on a folder; a second one there is the next life of the first."""
    desk, clock = desk or Desk(), clock or HandClock()
    redactor = Redactor({"credential": SECRET, "canary": CANARY}, {"canary"})
    with ExitStack() as stack:
        kept = SqliteStore(folder / "effects.sqlite")
        log = EffectLog(store(kept), FileAnchor(folder / "heads"), "gateway-1")
        stack.callback(log.close)
        admitted = Admissions(folder / "admissions.jsonl")
        stack.callback(admitted.close)
        audit = Audit(folder / "audit.jsonl", lambda text: str(redactor.redact(text).value))
        stack.callback(audit.close)
        watch = Watch(clock)
        more: Mapping[str, Any] = {"tracer": tracer} if tracer else {}
        gateway = Gateway(
            log=log,
            admissions=admitted,
            approvals=Approvals(FileStore(folder / "approvals.json"), watch),
            audit=audit,
            keyring=keyring or Keyring.make(),
            watch=watch,
            clock=HandTime(),
            connect=lambda _: desk,
            redactor=redactor,
            secret=b"s" * 32,
            **more,
        )
        if admissions:
            gateway.rule.admit(admissions, "operator")
        yield Rig(gateway, desk, clock, folder)
