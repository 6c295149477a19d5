"""An operator ends a run's token: what was begun ends, nothing else begins, a human has the run."""

from __future__ import annotations

import asyncio

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.gateway import HandClock

from harness.effects import Effect, Tier
from runtimes.reference.effect_log.folder import effect_log
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.gateway.admissions import Admission, AdmissionError, Admissions
from runtimes.reference.gateway.clock import Watch
from runtimes.reference.gateway.errors import RefusedError
from runtimes.reference.gateway.gateway import EndedError, Gateway
from runtimes.reference.gateway.grant import Grant
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.resume.clock import WallClock
from runtimes.reference.resume.session import Wanted
from runtimes.reference.upstreams.base import Answer, Contract, Order, Seen


PEER = "uid:1:1"


@dataclass
class Post:
    """A provider that counts what it is sent, and answers once it is let."""

    sent: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Event = field(default_factory=asyncio.Event)

    def contract(self, op: str, target: str) -> Contract:
        """Return that nothing is promised."""
        del op, target
        return Contract(effect=Effect.IRREVERSIBLE, tier=Tier.O)

    async def call(self, order: Order) -> Answer:
        """Send it, once it may go."""
        self.arrived.set()
        await self.free.wait()
        self.sent.append(order.slot)
        return Answer(outcome=Outcome.OK, response={"status": "ok"}, resource=order.target)

    async def query(self, order: Order) -> Answer | None:
        """Know nothing."""
        del order

    async def look(self, resource: str) -> Seen:
        """Say that it never changes."""
        return Seen(resource=resource, version="1", value_hash="h")

    def desired(self, order: Order) -> str:
        """Know nothing."""
        del order
        return ""

    async def fence(self, run: str, epoch: int) -> bool:
        """Refuse older ones."""
        del run, epoch
        return True


@contextmanager
def gateway(folder: Path, post: Post) -> Iterator[Gateway]:
    """Lend a gateway that admits one run."""
    admissions = Admissions(folder / "admissions.jsonl")
    grants = (Grant("append.irreversible", "mail"),)
    admissions.admit([Admission(run="r", peer=PEER, grants=grants, ttl_s=60.0)])
    with effect_log(folder / "log", "gateway-1") as log:
        yield Gateway(
            log=log,
            admissions=admissions,
            keyring=Keyring.make(),
            watch=Watch(HandClock()),
            clock=WallClock(),
            connect=lambda _: post,
            redactor=Redactor({}),
            secret=b"s" * 32,
        )
    admissions.close()


def mail(slot: str) -> Wanted:
    """Return the wish to send a mail."""
    return Wanted(slot=slot, op="append.irreversible", target="mail", args={"value": slot})


def test_what_is_in_flight_ends_and_nothing_else_begins(tmp_path: Path) -> None:
    """The call that was sent has its answer, the next one is refused, and the run is escalated."""

    async def run() -> None:
        post = Post()
        with gateway(tmp_path, post) as one:
            first = asyncio.ensure_future(one.perform(PEER, mail("first"), "r"))
            await post.arrived.wait()
            ended = await one.revoke("r", "ada", "it went astray")
            assert ended
            assert () == await one.revoke("r", "bob", "again")
            post.free.set()
            assert {"status": "ok"} == (await first).response
            with pytest.raises(RefusedError, match="has ended"):
                await one.perform(PEER, mail("second"), "r")
            why = "its token was revoked by ada: it went astray"
            assert ("escalated", why) == one.status("r")
            assert ["first"] == post.sent

    asyncio.run(run())


@pytest.mark.parametrize("flight", [True, False])
def test_a_revocation_outlives_the_gateway(tmp_path: Path, flight: bool) -> None:
    """Who takes the run over from a gateway that died does nothing new for it either."""

    async def run() -> None:
        post = Post()
        with gateway(tmp_path, post) as one:
            first = asyncio.ensure_future(one.perform(PEER, mail("first"), "r"))
            await post.arrived.wait()
            if flight:
                await one.revoke("r", "ada", "it went astray")
            post.free.set()
            await first
            if not flight:
                await one.revoke("r", "ada", "it went astray")
        with gateway(tmp_path, post) as other:
            with pytest.raises(EndedError, match="revoked by ada"):
                await other.perform(PEER, mail("second"), "r")
            assert {"status": "ok"} == (await other.perform(PEER, mail("first"), "r")).response
            assert ("escalated", "its token was revoked by ada: it went astray") == other.status(
                "r"
            )
        assert ["first"] == post.sent

    asyncio.run(run())


def test_nobody_to_revoke(tmp_path: Path) -> None:
    """A run that was never admitted has no token to end."""

    async def run() -> None:
        with gateway(tmp_path, Post()) as one:
            await one.revoke("other", "ada", "")

    with pytest.raises(AdmissionError, match="'other'"):
        asyncio.run(run())
