"""A provider whose answers have no credential in them, before anybody else reads or writes them."""

from __future__ import annotations

import dataclasses

from collections.abc import Callable
from dataclasses import dataclass

from harness.effects import Json
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.upstreams.base import Answer, Contract, Order, Seen, Upstream


@dataclass(frozen=True, slots=True)
class CleanUpstream:
    """What ``upstream`` answers, redacted; ``leaked`` is told of canaries, and for which run."""

    upstream: Upstream
    redactor: Redactor
    leaked: Callable[[str, frozenset[str]], None]

    def contract(self, op: str, target: str) -> Contract:
        """Return what is promised of an operation."""
        return self.upstream.contract(op, target)

    async def call(self, order: Order) -> Answer:
        """Carry out an order."""
        return self._clean(order.run, await self.upstream.call(order))

    async def query(self, order: Order) -> Answer | None:
        """Return how an order was answered, if it was carried out."""
        answer = await self.upstream.query(order)
        return self._clean(order.run, answer) if answer else None

    async def look(self, resource: str) -> Seen:
        """Return a resource as it is now: only its version and its hash are ever passed on."""
        return dataclasses.replace(await self.upstream.look(resource), value=None)

    def desired(self, order: Order) -> str:
        """Return the hash of what the target shall hold."""
        return self.upstream.desired(order)

    async def fence(self, run: str, epoch: int) -> bool:
        """Have calls of older epochs refused."""
        return await self.upstream.fence(run, epoch)

    def _clean(self, run: str, answer: Answer) -> Answer:
        found = self.redactor.redact(answer.response)
        ref = self.redactor.redact(answer.ref)
        value: Json = found.value
        if canaries := found.canaries | ref.canaries:
            self.leaked(run, canaries)
        return dataclasses.replace(answer, response=value, ref=str(ref.value))
