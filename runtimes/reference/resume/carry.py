"""Carrying an order out with a record before and after it, and settling one that is in doubt.

An intent is durable before its call goes out, its completion before anybody is given the answer.
So whatever dies, the log says of each effect that it was not tried, that it is done and how, or
that it is in doubt; and what is in doubt is settled by the table in ``remedy``.
"""

from __future__ import annotations

import dataclasses

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.effects import Effect, Json, Tier
from runtimes.reference.effect_log.canonical import hashed
from runtimes.reference.effect_log.facts import Facts, Standing, Tried
from runtimes.reference.effect_log.log import RunLog
from runtimes.reference.effect_log.records import (
    Completion,
    Intent,
    Outcome,
    Resolution,
    Verdict,
    Via,
)
from runtimes.reference.resume.clock import Clock
from runtimes.reference.resume.errors import DriftError, UnreadError
from runtimes.reference.resume.remedy import Move, quiet_ms, remedy
from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    Order,
    Seen,
    UnknownOperationError,
    UnreachableError,
    Upstream,
)
from runtimes.reference.upstreams.refusal import Refusal


@dataclass(slots=True)
class Carrier:
    """The hands of one run: its log, its provider, and since when older hands are refused."""

    log: RunLog
    upstream: Upstream
    clock: Clock
    fenced_ms: int | None = None

    @property
    def facts(self) -> Facts:
        """Return what is durable of the run."""
        return self.log.facts

    async def attempt(
        self, intent: Intent, premises: Mapping[str, str], context: Mapping[str, Json]
    ) -> None:
        """Try an effect: its intent, the call, its completion; ``premises`` as they are now.

        Raises:
            LostError: no answer came: it is in doubt.
            UnreachableError: nothing was sent, and the log says so.
            EffectLogError: the log refuses, or cannot go on.

        """
        before = self.facts.effects.get(intent.slot)
        await self.log.append(intent)
        try:
            answer = await self.upstream.call(self.order(intent, premises, context))
        except UnreachableError:
            # An earlier attempt may have been carried out, and may still be.
            if before is None or before.standing is not Standing.IN_DOUBT:
                await self._resolve(intent, Verdict.ABSENT, "it was never sent")
            raise
        if _mismatch(answer):
            why = "its provider has another request under this key"
            await self._resolve(intent, Verdict.UNKNOWN, why)
            return
        await self._complete(intent, answer, Via.REPLAY if answer.replayed else Via.CALL)

    async def settle(self, slot: str, context: Mapping[str, Json], capability: str = "") -> None:
        """Find out what became of an effect in doubt; at the end it is not in doubt any more.

        ``capability`` is that of whoever asks for it now: the one of the attempt in doubt may have
        ended.  Recovery has none, and does nothing but what was allowed then.

        Raises:
            LostError: it was tried again, and no answer came.
            UnreachableError: its provider cannot be asked.
            EffectLogError: the log refuses, or cannot go on.

        """
        while (tried := self.facts.effects[slot]).standing is Standing.IN_DOUBT:
            intent = tried.intent
            contract = self.upstream.contract(intent.op, intent.target)
            way = remedy(intent, contract, self.clock.now_ms(), self._fenced(tried, contract))
            match way.move:
                case Move.WAIT:
                    await self.clock.until(way.until_ms)
                case Move.REPEAT:
                    await self._repeat(tried, contract, context, capability)
                case Move.QUERY:
                    await self._query(intent, context)
                case Move.COMPARE:
                    await self._compare(intent, context)
                case Move.ESCALATE:
                    await self._resolve(intent, Verdict.UNKNOWN, way.why)

    async def give_up(self, slot: str, why: str) -> None:
        """Leave an effect to a human of which nobody else can say whether it was done."""
        tried = self.facts.effects.get(slot)
        if tried and (tried.overtaken or tried.standing is Standing.IN_DOUBT):
            await self._resolve(tried.intent, Verdict.UNKNOWN, why)

    async def check(self, slot: str, premises: Mapping[str, str]) -> dict[str, str]:
        """Hold premises to the world; return their versions as they are now.

        A premise holds if its resource has the version that was read, one that this run gave it,
        or another one of the same value.

        Raises:
            DriftError: one is false.
            UnreadError: one names a version that this run has not read.
            UnreachableError: nobody answers.

        """
        now: dict[str, str] = {}
        for resource, version in premises.items():
            seen = await self.upstream.look(resource)
            if version != seen.version and not self._known(seen, version):
                continue
            now[resource] = seen.version
        if false := [resource for resource in premises if resource not in now]:
            raise DriftError(slot, false)
        return now

    def _fenced(self, tried: Tried, contract: Contract) -> int | None:
        """Return since when a call is refused: a fence keeps older epochs out, not one's own."""
        older = contract.fenced and tried.epoch < self.facts.epoch
        return self.fenced_ms if older else None

    def _known(self, seen: Seen, version: str) -> bool:
        """Say whether a resource that has moved on still says what was read."""
        made = {
            tried.completion.version_after
            for tried in self.facts.effects.values()
            if tried.completion
            and tried.completion.resource == seen.resource
            and tried.standing is Standing.DONE
        }
        if seen.version in made - {""}:
            return True
        reads = [read for _, read in self.facts.reads.values() if read.resource == seen.resource]
        sealed = [read.value_hash for read in reads if read.version == version]
        if not sealed and version not in made:
            msg = f"version {version!r} of {seen.resource} was never read by {self.log.run}"
            raise UnreadError(msg)
        return seen.value_hash in sealed

    def order(
        self, intent: Intent, premises: Mapping[str, str], context: Mapping[str, Json]
    ) -> Order:
        """Return the call that an intent stands for, sent now."""
        request: Any = intent.request
        return Order(
            run=self.log.run,
            slot=intent.slot,
            op=intent.op,
            target=intent.target,
            args=request["args"],
            epoch=self.facts.epoch,
            key=intent.key,
            expect=intent.expect,
            premises=premises,
            context=context,
        )

    async def _repeat(
        self, tried: Tried, contract: Contract, context: Mapping[str, Json], capability: str
    ) -> None:
        intent = tried.intent
        request: Any = intent.request
        try:
            premises = await self.check(intent.slot, request["premises"])
            why = "the run is cancelled" if self.facts.cancel else ""
        except (DriftError, UnreadError) as drift:
            why = str(drift)
        if why:
            # If it was not carried out then, it must not be now; and it may be on its way.
            until_ms = quiet_ms(intent, contract, self._fenced(tried, contract))
            if self.clock.now_ms() < until_ms:
                await self.clock.until(until_ms)
            elif intent.tier is Tier.Q:
                await self._query(intent, context)
            else:
                await self._resolve(intent, Verdict.UNKNOWN, f"in doubt, and {why}")
            return
        again = dataclasses.replace(
            intent,
            attempt=intent.attempt + 1,
            capability=capability,
            plan_epoch=self.facts.plan_epoch,
            deadline_ms=self.clock.now_ms() + contract.deadline_s * 1000,
        )
        await self.attempt(again, premises, context)

    async def _query(self, intent: Intent, context: Mapping[str, Json]) -> None:
        try:
            answer = await self.upstream.query(self.order(intent, {}, context))
        except UnknownOperationError as error:
            await self._resolve(intent, Verdict.UNKNOWN, f"its provider cannot be asked: {error}")
            return
        if answer is None:
            await self._resolve(intent, Verdict.ABSENT, "its provider was asked")
        else:
            await self._complete(intent, answer, Via.RECONCILE)

    async def _compare(self, intent: Intent, context: Mapping[str, Json]) -> None:
        try:
            seen = await self.upstream.look(intent.target)
        except UnknownOperationError as error:
            await self._resolve(intent, Verdict.UNKNOWN, f"its target cannot be seen: {error}")
            return
        if seen.version == intent.expect:
            await self._resolve(intent, Verdict.ABSENT, "its target is as it was")
            return
        desired = self.upstream.desired(self.order(intent, {}, {}))
        there = bool(desired) and seen.value_hash == desired
        request: Any = intent.request
        rests = intent.effect is Effect.HYBRID and intent.target in request["premises"]
        if not there and not rests:
            await self._resolve(
                intent, Verdict.UNKNOWN, "its target was changed, who knows by whom"
            )
            return
        if not there and intent.tier is Tier.Q:
            await self._query(intent, context)
            return
        answer = Answer(
            # Whether it was there for a while or never: it is not there, and a plan must say what
            # is to follow.  The same again is nobody's to decide but a human's.
            outcome=Outcome.OK if there else Outcome.CONFLICT,
            response=None,
            resource=intent.target,
            before=intent.expect,
            after=seen.version,
        )
        await self._complete(intent, answer, Via.RECONCILE)

    async def _complete(self, intent: Intent, answer: Answer, via: Via) -> None:
        done = answer.outcome in {Outcome.OK, Outcome.FAILED_AFTER}
        completion = Completion(
            slot=intent.slot,
            effect_id=intent.effect_id,
            attempt=intent.attempt,
            outcome=answer.outcome,
            request_hash=intent.request_hash,
            response_hash=hashed(answer.response),
            response=answer.response,
            resource=answer.resource,
            version_before=answer.before,
            version_after=answer.after,
            irreversible=done and intent.effect is Effect.IRREVERSIBLE,
            provider_ref=answer.ref,
            via=via,
        )
        await self.log.append(completion)

    async def _resolve(self, intent: Intent, verdict: Verdict, method: str) -> None:
        resolution = Resolution(
            slot=intent.slot,
            effect_id=intent.effect_id,
            verdict=verdict,
            method=method,
            by=self.facts.holder,
            authoritative=verdict is not Verdict.UNKNOWN,
            fenced_epoch=self.facts.epoch if self.fenced_ms is not None else 0,
            quiesced_ms=min(self.clock.now_ms(), intent.deadline_ms),
        )
        await self.log.append(resolution)


def _mismatch(answer: Answer) -> bool:
    """Say whether a provider knows the key of an order with another request."""
    said = answer.response
    return isinstance(said, dict) and said.get("refused") == Refusal.MISMATCH
