"""A run in somebody's hands: what is sealed is answered from the log, the rest is done once.

A *slot* is the plan's own name of what it does.  Whoever asks for a slot again is given what the
first one was given, byte for byte: a read that was sealed, what a model said, how an effect ended.
Only a forced re-plan opens slots anew: what was read of the resources that had drifted, what is
decided by other facts than before, and what was never done and is to be done otherwise now.
"""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from harness.effects import Effect, Json, Tier
from runtimes.reference.effect_log.canonical import digest, hashed
from runtimes.reference.effect_log.errors import ConflictError
from runtimes.reference.effect_log.facts import Facts, Standing, Tried
from runtimes.reference.effect_log.records import (
    Approval,
    Decision,
    Intent,
    Outcome,
    Plan,
    Read,
    Terminal,
)
from runtimes.reference.resume.carry import Carrier
from runtimes.reference.resume.errors import DriftError, EscalatedError
from runtimes.reference.resume.remedy import keyed
from runtimes.reference.upstreams.base import Contract, LostError, Order


TRIES = 5
"""How often an effect is tried again at once that met a lost answer or another's write."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an agent asks for; ``premises`` are the versions that it read, by resource.

    ``context`` is what the caller's protocol carries along, ``approved_by`` the human who let
    just this happen.
    """

    slot: str
    op: str
    target: str
    args: Mapping[str, Json]
    premises: Mapping[str, str] = field(default_factory=dict)
    capability: str = ""
    context: Mapping[str, Json] = field(default_factory=dict)
    approved_by: str = ""

    @property
    def request(self) -> dict[str, Json]:
        """Return what is asked, as an intent has it."""
        return {"args": {**self.args}, "premises": {**self.premises}}

    @cached_property
    def request_hash(self) -> str:
        """Return what makes it this request and no other; an attempt of it has the same."""
        return hashed([self.op, self.target, self.request])

    @property
    def premise_hash(self) -> str:
        """Return the hash of what it rests on."""
        return digest({**self.premises})

    @cached_property
    def fingerprint(self) -> str:
        """Return what makes it the same effect."""
        return hashed([self.op, self.target, dict(self.args)])


@dataclass(frozen=True, slots=True)
class Given:
    """What the agent is given: the provider's response, or nothing but that it was done."""

    response: Json
    settled: bool = False
    """It was found to be done; the response itself is not known."""
    version: str = field(default="", compare=False)
    """What a read saw, so that a later write can rest on it."""
    logged: bool = field(default=False, compare=False)
    """The log had it before it was asked for."""
    done: bool = field(default=True, compare=False)
    """The provider did it; if not, its response says why."""


def names(facts: Facts, slot: str) -> list[tuple[int, str]]:
    """Return a slot's names in the plans so far, the latest first."""
    first, latest = (1, slot), facts.plan_epoch
    if latest <= 1:
        return [first]
    return [*((epoch, f"{slot}@{epoch}") for epoch in range(latest, 1, -1)), first]


def standing(facts: Facts, slot: str) -> Standing | None:
    """Return what is known of the effect that stands in a slot; ``None`` if none was tried."""
    found = (facts.effects.get(name) for _, name in names(facts, slot))
    return next((tried.standing for tried in found if tried), None)


@dataclass(slots=True)
class Session:
    """A run that this process holds; ``key_of`` makes the idempotency key of an effect id."""

    carrier: Carrier
    key_of: Callable[[str], str]
    losses: int = TRIES
    """How many lost answers one request meets before it says so."""
    busy: dict[str, asyncio.Event] = field(default_factory=dict)

    @property
    def facts(self) -> Facts:
        """Return what is durable of the run."""
        return self.carrier.log.facts

    async def perform(self, wanted: Wanted) -> Given:
        """Give what a slot has, or do what it asks for, once, whoever asks meanwhile.

        Raises:
            EscalatedError: a human must say whether it was done.
            DriftError: a premise is false; nothing was done.
            UnreadError: a premise was never read.
            ConflictError: the slot has another request.
            LostError: no answer came, and it cannot yet be told whether it was done.
            UnreachableError: nothing was done.
            UnknownOperationError: nothing was done.
            EffectLogError: the log refuses, or cannot go on.

        """
        contract = self.carrier.upstream.contract(wanted.op, wanted.target)
        # One at a time in a slot: who comes second finds what the first one left.
        while other := self.busy.get(wanted.slot):
            await other.wait()
        self.busy[wanted.slot] = mine = asyncio.Event()
        try:
            if contract.decides:
                return await self._decide(wanted)
            if contract.effect is Effect.READ:
                return await self._read(wanted)
            return await self._write(wanted, contract)
        finally:
            del self.busy[wanted.slot]
            mine.set()

    def sealed(self, wanted: Wanted) -> Given | None:
        """Return what a slot was given for good, if it was, and for just this request.

        Raises:
            UnknownOperationError: nobody offers that.

        """
        facts, contract = self.facts, self.carrier.upstream.contract(wanted.op, wanted.target)
        for _, name in self._names(wanted.slot):
            if contract.decides:
                if (one := facts.decisions.get(name)) and one.asked_hash == wanted.fingerprint:
                    return Given(one.output)
            elif contract.effect is Effect.READ:
                _, read = facts.reads.get(name, (0, None))
                if read and read.resource == wanted.target:
                    return Given(read.value, version=read.version)
            elif (tried := facts.effects.get(name)) and tried.standing is not Standing.UNKNOWN:
                same = tried.intent.fingerprint == wanted.fingerprint
                return self._known(name, tried) if same else None
        return None

    async def give_up(self, wanted: Wanted, why: str) -> None:
        """Leave to a human what is still in doubt in a slot, and try no more."""
        await self.carrier.give_up(self._slot(wanted), why)

    async def glance(self, wanted: Wanted) -> Given:
        """Read without sealing: what a run that has ended sees is nothing to rest on."""
        answer = await self.carrier.upstream.call(self._order(wanted, wanted.slot))
        return Given(answer.response, done=answer.outcome is Outcome.OK)

    async def replan(self, drift: DriftError) -> None:
        """Begin a new plan, because resources are otherwise than the last one had them."""
        plan = self.facts.plan
        await self.carrier.log.append(
            Plan(
                plan_epoch=self.facts.plan_epoch + 1,
                steps_hash=plan.steps_hash if plan else "",
                drifted=drift.resources,
                why=str(drift),
            )
        )

    async def end(self, status: str, output: Json = None, why: str = "") -> None:
        """Write how the run ended, once.

        Raises:
            ContradictionError: an effect of it is in doubt.

        """
        if self.facts.terminal is None:
            await self.carrier.log.append(Terminal(status=status, output=output, why=why))

    def _names(self, slot: str) -> list[tuple[int, str]]:
        return names(self.facts, slot)

    def _next(self, slot: str, found: object) -> str:
        """Return the slot's name for a record of the present plan."""
        return slot if found is None else f"{slot}@{self.facts.plan_epoch}"

    async def _read(self, wanted: Wanted) -> Given:
        reads = self.facts.reads
        found = next(((e, n) for e, n in self._names(wanted.slot) if n in reads), None)
        if found:
            _, sealed = reads[found[1]]
            if sealed.resource != wanted.target:
                msg = f"CONFLICT: {wanted.slot} read {sealed.resource}, is now of {wanted.target}"
                raise ConflictError(msg)
            if self.facts.drifted.get(sealed.resource, 0) <= found[0]:
                return Given(sealed.value, version=sealed.version, logged=True)
        slot = self._next(wanted.slot, found)
        answer = await self.carrier.upstream.call(self._order(wanted, slot))
        if answer.outcome is Outcome.OK:
            sealed = Read(
                slot=slot,
                resource=wanted.target,
                version=answer.after,
                value_hash=answer.value_hash,
                value=answer.response,
            )
            await self.carrier.log.append(sealed)
        return Given(answer.response, version=answer.after, done=answer.outcome is Outcome.OK)

    async def _decide(self, wanted: Wanted) -> Given:
        decisions = self.facts.decisions
        found = next(((e, n) for e, n in self._names(wanted.slot) if n in decisions), None)
        if found:
            sealed = decisions[found[1]]
            if sealed.asked_hash == wanted.fingerprint:
                return Given(sealed.output, logged=True)
            if found[0] == self.facts.plan_epoch:
                msg = f"CONFLICT: {wanted.slot} was asked with other facts under this plan"
                raise ConflictError(msg)
        slot = self._next(wanted.slot, found)
        answer = await self.carrier.upstream.call(self._order(wanted, slot))
        if answer.outcome is Outcome.OK:
            decision = Decision(slot=slot, asked_hash=wanted.fingerprint, output=answer.response)
            await self.carrier.log.append(decision)
        return Given(answer.response, done=answer.outcome is Outcome.OK)

    def _order(self, wanted: Wanted, slot: str) -> Order:
        return Order(
            run=self.carrier.log.run,
            slot=slot,
            op=wanted.op,
            target=wanted.target,
            args=wanted.args,
            epoch=self.facts.epoch,
            context=wanted.context,
        )

    def _slot(self, wanted: Wanted) -> str:
        """Return the name under which an effect stands in the log, or is to stand there.

        Raises:
            ConflictError: it has another request under this plan, or had one that was carried out.

        """
        effects = self.facts.effects
        for epoch, name in self._names(wanted.slot):
            if tried := effects.get(name):
                if tried.intent.fingerprint == wanted.fingerprint:
                    return name
                gone = tried.standing in {Standing.DONE, Standing.UNKNOWN}
                if epoch == self.facts.plan_epoch or (gone and tried.intent.effect.once):
                    msg = (
                        f"CONFLICT: {wanted.slot} is {tried.intent.op} on {tried.intent.target} "
                        f"and {tried.standing}; it cannot be another request now"
                    )
                    raise ConflictError(msg)
                return self._next(wanted.slot, name)
        return wanted.slot

    async def _settle_others(self, wanted: Wanted) -> None:
        """Settle what another request left in doubt in the slot, before this one is looked at."""
        effects = self.facts.effects
        for _, name in self._names(wanted.slot):
            tried = effects.get(name)
            if (
                tried
                and tried.standing is Standing.IN_DOUBT
                and tried.intent.fingerprint != wanted.fingerprint
            ):
                await self.carrier.settle(name, wanted.context, wanted.capability)

    async def _write(self, wanted: Wanted, contract: Contract) -> Given:
        await self._settle_others(wanted)
        slot, left, losses = self._slot(wanted), TRIES, 0
        while True:
            tried = self.facts.effects.get(slot)
            if tried and (given := self._known(slot, tried)):
                return replace(given, logged=left == TRIES)
            if not left:
                raise DriftError(slot, [wanted.target])
            left -= 1
            try:
                if tried and tried.standing is Standing.IN_DOUBT:
                    await self.carrier.settle(slot, wanted.context, wanted.capability)
                else:
                    await self._attempt(slot, tried, wanted, contract)
            except LostError:
                losses += 1
                if losses >= self.losses or not left:
                    raise

    def _known(self, slot: str, tried: Tried) -> Given | None:
        """Return how an effect ended, if it has."""
        if tried.standing is Standing.UNKNOWN:
            why = tried.resolution.method if tried.resolution else "it is not known"
            raise EscalatedError(slot, why)
        if tried.completion and tried.completion.outcome is not Outcome.CONFLICT:
            found = tried.completion
            done = tried.standing is Standing.DONE
            return Given(found.response, settled=found.response is None, done=done)
        return Given(None, settled=True) if tried.standing is Standing.DONE else None

    async def _attempt(
        self, slot: str, tried: Tried | None, wanted: Wanted, contract: Contract
    ) -> None:
        premises = await self.carrier.check(slot, wanted.premises)
        now_ms = self.carrier.clock.now_ms()
        if tried and tried.overtaken and not keyed(tried.intent, now_ms):
            await self.carrier.give_up(slot, "it may have been done before its target was changed")
            return
        expect = premises.get(wanted.target, "")
        if not expect and contract.tier is Tier.V and contract.effect.once:
            expect = (await self.carrier.upstream.look(wanted.target)).version
        effect_id = tried.intent.effect_id if tried else self.carrier.log.log.mint()
        seqs = {(read.resource, read.version): seq for seq, read in self.facts.reads.values()}
        intent = Intent(
            slot=slot,
            effect_id=effect_id,
            attempt=tried.intent.attempt + 1 if tried else 1,
            op=wanted.op,
            effect=contract.effect,
            tier=contract.tier,
            target=wanted.target,
            fingerprint=wanted.fingerprint,
            request_hash=wanted.request_hash,
            request=wanted.request,
            key=tried.intent.key if tried else self.key_of(effect_id),
            key_since_ms=tried.intent.key_since_ms if tried else now_ms,
            retention_s=contract.retention_s,
            approval=Approval.HUMAN if wanted.approved_by else Approval.NONE,
            approved_by=wanted.approved_by,
            approved_hash=wanted.request_hash if wanted.approved_by else "",
            capability=wanted.capability,
            plan_epoch=self.facts.plan_epoch,
            premises=tuple(seqs[each] for each in wanted.premises.items() if each in seqs),
            expect=expect,
            deadline_ms=now_ms + contract.deadline_s * 1000,
        )
        await self.carrier.attempt(intent, premises, wanted.context)
