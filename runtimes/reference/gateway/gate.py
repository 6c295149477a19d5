"""The last look before a call leaves: what was allowed when it came may not be allowed any more.

A call waits at the gateway: for another one of its slot, for the log, for a late packet of an
earlier attempt.  Revocation, the end of a token and a human's word count until the moment it goes
out, and what goes out is known by its slot until its answer is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from runtimes.reference.gateway.errors import Reason
from runtimes.reference.gateway.metrics import Metrics
from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    Order,
    Seen,
    UnreachableError,
    Upstream,
)


class BarredError(UnreachableError):
    """It was allowed when it was asked for, and is not any more: nothing was sent.

    Attributes:
        reason: which rule refuses.

    """

    def __init__(self, reason: Reason, why: str) -> None:
        """Say which rule refuses, and what to do."""
        super().__init__(f"{reason}: {why}; nothing was sent")
        self.reason = reason


@dataclass(slots=True)
class Gate:
    """An upstream whose calls pass ``allow``; questions need none.

    That returns the capabilities under which a call goes, or raises ``BarredError``.
    """

    upstream: Upstream
    allow: Callable[[Order], tuple[str, ...]]
    metrics: Metrics
    flying: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Slots and capabilities of the calls that are out."""

    def slots(self, capability: str = "") -> list[str]:
        """Return the slots whose calls are out; those under a capability only."""
        return sorted({slot for slot, ids in self.flying if not capability or capability in ids})

    def contract(self, op: str, target: str) -> Contract:
        """Return what is promised of an operation."""
        return self.upstream.contract(op, target)

    async def call(self, order: Order) -> Answer:
        """Carry out an order, if it may still be."""
        flight = (order.slot, self.allow(order))
        self.flying.append(flight)
        try:
            with self.metrics.calling():
                return await self.upstream.call(order)
        finally:
            self.flying.remove(flight)

    async def query(self, order: Order) -> Answer | None:
        """Return how an order was answered, if it was carried out."""
        return await self.upstream.query(order)

    async def look(self, resource: str) -> Seen:
        """Return a resource as it is now."""
        return await self.upstream.look(resource)

    def desired(self, order: Order) -> str:
        """Return the hash of what the target shall hold."""
        return self.upstream.desired(order)

    async def fence(self, run: str, epoch: int) -> bool:
        """Have calls of older epochs refused."""
        return await self.upstream.fence(run, epoch)
