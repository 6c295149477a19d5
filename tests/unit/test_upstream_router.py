"""Several providers in one run: each target finds its own, and what is said of it comes back."""

from __future__ import annotations

import asyncio

from dataclasses import dataclass, field, replace

import pytest

from support.upstreams import order

from harness.effects import Effect, Tier
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    Order,
    Seen,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.router import Router


@dataclass
class Recorder:
    """A provider that keeps what it is asked; ``fences`` of ``None`` does not answer."""

    tier: Tier = Tier.K
    fences: bool | None = True
    asked: list[object] = field(default_factory=list)

    def contract(self, op: str, target: str) -> Contract:
        """Return the tier that it was made with."""
        self.asked.append((op, target))
        return Contract(effect=Effect.IRREVERSIBLE, tier=self.tier)

    async def call(self, order: Order) -> Answer:
        """Keep an order and say that it was done."""
        self.asked.append(order)
        return Answer(outcome=Outcome.OK, response={}, resource=order.target, before="1", after="2")

    async def query(self, order: Order) -> Answer | None:
        """Say that the order of key k1 was done."""
        return await self.call(order) if order.key == "k1" else None

    async def look(self, resource: str) -> Seen:
        """Say that everything is at version 7."""
        self.asked.append(resource)
        return Seen(resource=resource, version="7", value_hash="h")

    def desired(self, order: Order) -> str:
        """Return the target."""
        return order.target

    async def fence(self, run: str, epoch: int) -> bool:
        """Say what it was made with."""
        self.asked.append((run, epoch))
        if self.fences is None:
            msg = "nobody answers"
            raise UnreachableError(msg)
        return self.fences


def test_an_order_goes_to_the_provider_of_its_target() -> None:
    """Without the provider's name; the resource comes back with it."""

    async def all_() -> None:
        dns, mail = Recorder(Tier.V), Recorder(Tier.O)
        router = Router({"dns": dns, "mail": mail})
        assert Tier.V is router.contract("set", "dns/zone/www/A").tier
        assert [("set", "zone/www/A")] == dns.asked
        one = order("send", "mail/ann", key="k1")
        answer = await router.call(one)
        assert [replace(one, target="ann")] == mail.asked
        assert ("mail/ann", "1", "2") == (answer.resource, answer.before, answer.after)
        assert answer == await router.query(one)
        assert await router.query(replace(one, key="k2")) is None
        assert "dns/zone" == (await router.look("dns/zone")).resource
        assert "ann" == router.desired(one)

    asyncio.run(all_())


def test_a_target_of_nobody_is_unknown() -> None:
    """Whatever it begins with."""
    one = Recorder()
    router = Router({"dns": one})
    for target in ("", "dns", "dns/", "/dns/zone", "dnsx/zone", "mail/ann", "DNS/zone"):
        with pytest.raises(UnknownOperationError, match="no provider of"):
            router.contract("set", target)
        with pytest.raises(UnknownOperationError, match="no provider of"):
            asyncio.run(router.call(order("set", target)))
    assert [] == one.asked


def test_premises_hold_wherever_they_are() -> None:
    """The provider gets its own; at others they are looked at first, and stop the order."""

    async def all_() -> None:
        dns, mail = Recorder(), Recorder()
        router = Router({"dns": dns, "mail": mail})
        premises = {"dns/zone": "7", "mail/ann": "1"}
        await router.call(order("send", "mail/ann", premises=premises))
        assert ["zone"] == dns.asked
        assert {"ann": "1"} == mail.asked.pop().premises
        no = await router.call(order("send", "mail/ann", premises={"dns/zone": "6"}))
        assert (Outcome.CONFLICT, "dns/zone", "7") == (no.outcome, no.resource, no.before)
        assert [] == mail.asked

    asyncio.run(all_())


def test_the_fence_is_raised_wherever_there_is_one() -> None:
    """One that has none is no obstacle; one that does not answer is said, after all were asked."""

    async def all_() -> None:
        with_one, without, silent = Recorder(), Recorder(fences=False), Recorder(fences=None)
        assert await Router({"a": without, "b": with_one}).fence("r1", 2)
        assert not await Router({"a": without}).fence("r1", 2)
        with pytest.raises(UnreachableError):
            await Router({"a": silent, "b": with_one}).fence("r1", 3)
        assert [("r1", 2), ("r1", 3)] == with_one.asked

    asyncio.run(all_())
