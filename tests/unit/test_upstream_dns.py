"""Dynamic DNS behind the gateway: the server itself compares what an update expects."""

from __future__ import annotations

import asyncio
import base64
import shutil
import time

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dns.message
import pytest

from support.upstreams import NOWHERE, deaf, holds, order, place

from harness.effects import Effect, Tier
from harness.process import Address
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.live.knot import Nameserver, nameserver
from runtimes.reference.upstreams.base import (
    LostError,
    Order,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.dns import Dns
from runtimes.reference.upstreams.dns_wire import FUDGE_S
from runtimes.reference.upstreams.refusal import ABSENT


pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("upstream-dns"),
    pytest.mark.skipif(
        shutil.which("knotd") is None and not Path("/usr/sbin/knotd").is_file(),
        reason="no Knot on this machine: apt-get install knot",
    ),
]
WWW = "example.test/www/A"
OLD, NEW = ["192.0.2.1"], ["192.0.2.2", "192.0.2.3"]


@pytest.fixture(scope="module")
def server() -> Iterator[Nameserver]:
    """Lend a Knot with two zones."""
    with place() as site, nameserver(site, ("example.test", "other.test")) as made:
        yield made


@pytest.fixture
def knot(server: Nameserver) -> Iterator[Nameserver]:
    """Lend it with nothing in the zones."""
    yield server
    one = upstream(server)
    for kind in ("A", "CNAME", "TXT"):
        for zone in server.zones:
            removed = one.call(order("dns.delete", f"{zone}/www/{kind}"))
            assert Outcome.OK is asyncio.run(removed).outcome


def upstream(knot: Nameserver, at: Address | None = None, **more: Any) -> Dns:
    """Return the connector, straight to the server or by way of a link."""
    return Dns(at or knot.address, knot.zones, more.pop("credential", knot.credential))


def put(records: list[str], target: str = WWW, **more: Any) -> Order:
    """Return the order to write an RRset."""
    return order("dns.set", target, {"records": [*records], "ttl": 60}, **more)


def is_update(said: bytes) -> bool:
    """Say whether a message over TCP is an update: its opcode is 5."""
    return len(said) > 4 and (said[4] >> 3) & 0xF == 5


def test_what_is_promised(knot: Nameserver) -> None:
    """Compare-and-swap; nothing of other zones, of what a zone needs, or spelt otherwise."""
    one = upstream(knot)
    contract = one.contract("dns.set", WWW)
    assert (Effect.HYBRID, Tier.V, False) == (contract.effect, contract.tier, contract.fenced)
    assert Effect.READ is one.contract("dns.read", WWW).effect
    assert one.contract("dns.delete", "example.test/*.apps/CNAME").effect.once
    wrong = (
        "example.com/www/A",
        "example.test/www/SOA",
        "example.test/WWW/A",
        "example.test/www.evil.test./A",
        "example.test/../A",
        "example.test/www",
    )
    for target in wrong:
        with pytest.raises(UnknownOperationError, match="expected zone/name/TYPE"):
            one.contract("dns.set", target)
    with pytest.raises(UnknownOperationError, match="there are"):
        one.contract("dns.transfer", WWW)


def test_a_write_rests_on_the_records_that_were_seen(knot: Nameserver) -> None:
    """It is made once; repeated, or on others, it conflicts and says what is there."""

    async def all_() -> None:
        one = upstream(knot)
        made = await one.call(put(OLD, expect=ABSENT))
        assert (Outcome.OK, ABSENT) == (made.outcome, made.before)
        again = await one.call(put(OLD, expect=ABSENT))
        assert (Outcome.CONFLICT, made.after) == (again.outcome, again.before)
        wanted = put(NEW, expect=made.after)
        moved = await one.call(wanted)
        assert (Outcome.OK, made.after) == (moved.outcome, moved.before)
        seen = await one.look(WWW)
        assert (moved.after, one.desired(wanted)) == (seen.version, seen.value_hash)
        assert {"records": NEW, "ttl": 60} == seen.value
        assert Outcome.CONFLICT is (await one.call(wanted)).outcome
        assert Outcome.OK is (await one.call(put([*reversed(NEW)], expect=seen.version))).outcome

    asyncio.run(all_())


def test_the_server_compares_what_changes_after_the_look(
    knot: Nameserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody writes between look and update: a conflict, for target and premise alike."""

    async def all_() -> None:
        one, other = upstream(knot), upstream(knot)
        premise = "example.test/www/TXT"
        was = (await one.call(put(OLD))).after
        text = (await one.call(put(['"blue"'], premise))).after
        sent = one._primary.sent

        async def late(update: Any) -> str:
            assert Outcome.OK is (await other.call(foreign)).outcome
            return await sent(update)

        monkeypatch.setattr(one._primary, "sent", late)
        foreign = put(["192.0.2.9"])
        assert Outcome.CONFLICT is (await one.call(put(NEW, expect=was))).outcome
        now = await other.look(WWW)
        assert ["192.0.2.9"] == now.value["records"]
        foreign = put(['"green"'], premise)
        wanted = put(NEW, expect=now.version, premises={premise: text})
        assert Outcome.CONFLICT is (await one.call(wanted)).outcome
        assert now == await other.look(WWW)
        foreign = put(["192.0.2.9"], "other.test/www/A")
        assert Outcome.OK is (await one.call(put(NEW, expect=now.version))).outcome

    asyncio.run(all_())


def test_premises_elsewhere_are_looked_at(knot: Nameserver) -> None:
    """Of another zone too; one that does not hold is a conflict that names it."""

    async def all_() -> None:
        one = upstream(knot)
        there = "other.test/www/A"
        version = (await one.call(put(OLD, there))).after
        no = await one.call(put(OLD, premises={there: ABSENT}))
        assert (Outcome.CONFLICT, there) == (no.outcome, no.resource)
        assert Outcome.OK is (await one.call(put(OLD, premises={there: version}))).outcome

    asyncio.run(all_())


def test_a_record_is_removed_once(knot: Nameserver) -> None:
    """Then there is none, as was desired; a read says so."""

    async def all_() -> None:
        one = upstream(knot)
        version = (await one.call(put(OLD))).after
        gone = order("dns.delete", WWW, expect=version)
        assert (Outcome.OK, ABSENT) == ((done := await one.call(gone)).outcome, done.after)
        assert Outcome.CONFLICT is (await one.call(gone)).outcome
        seen = await one.look(WWW)
        assert (ABSENT, one.desired(gone)) == (seen.version, seen.value_hash)
        read = await one.call(order("dns.read", WWW))
        assert {"value": None, "version": ABSENT} == read.response

    asyncio.run(all_())


def test_a_lost_update_is_told_by_the_version(knot: Nameserver) -> None:
    """The reply is lost: the look has what was desired, and a repetition conflicts."""

    async def all_(at: Address) -> None:
        version = (await upstream(knot).call(put(OLD))).after
        wanted = put(NEW, expect=version)
        with pytest.raises(LostError) as lost:
            await upstream(knot, at).call(wanted)
        assert not holds(knot.credential, lost.value)
        one = upstream(knot)
        assert one.desired(wanted) == (await one.look(WWW)).value_hash
        assert Outcome.CONFLICT is (await one.call(wanted)).outcome
        with pytest.raises(UnknownOperationError, match="look at"):
            await one.query(wanted)

    with deaf(knot.address) as link:
        assert Outcome.OK is asyncio.run(upstream(knot, link.address).call(put(OLD))).outcome
        link.losing(is_update)
        asyncio.run(all_(link.address))
        assert 1 == link.lost


def test_what_the_network_held_for_long_is_void(
    knot: Nameserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server refuses an update that was signed too long ago, and takes a younger one."""

    async def all_() -> None:
        one = upstream(knot)
        sent, age_s = one._primary.sent, 0

        async def held(update: Any) -> str:
            with monkeypatch.context() as patch:
                clock = SimpleNamespace(time=lambda: time.time() - age_s)
                patch.setattr(dns.message, "time", clock)
                return await sent(update)

        monkeypatch.setattr(one._primary, "sent", held)
        age_s = FUDGE_S + 10
        late = await one.call(put(OLD))
        assert (Outcome.FAILED_BEFORE, "refused") == (late.outcome, late.response["refused"])
        assert "BADTIME" in late.response["detail"]
        assert ABSENT == (await one.look(WWW)).version
        age_s = FUDGE_S - 10
        assert Outcome.OK is (await one.call(put(OLD))).outcome

    asyncio.run(all_())


def test_what_the_server_passes_over_is_not_called_done(knot: Nameserver) -> None:
    """An alias beside an address is accepted and not made; alone it is made."""

    async def all_() -> None:
        one = upstream(knot)
        await one.call(put(OLD))
        alias = put(["db.example.test."], "example.test/www/CNAME")
        no = await one.call(alias)
        assert (Outcome.FAILED_BEFORE, "refused") == (no.outcome, no.response["refused"])
        await one.call(order("dns.delete", WWW))
        assert Outcome.OK is (await one.call(alias)).outcome

    asyncio.run(all_())


def test_nobody_answers(knot: Nameserver) -> None:
    """It is said, and nothing was done; nor is anything for who has another key."""

    async def all_() -> None:
        one = upstream(knot, NOWHERE)
        for each in (lambda: one.call(put(OLD)), lambda: one.look(WWW)):
            with pytest.raises(UnreachableError, match="nothing was done") as error:
                await each()
            assert not holds(knot.credential, error.value)
        secret = base64.b64encode(b"another" * 5).decode()
        wrong = Credential(name=knot.credential.name, secret=secret)
        with pytest.raises(UnreachableError, match="nothing was done") as error:
            await upstream(knot, credential=wrong).call(put(OLD))
        assert not holds(wrong, error.value)
        assert not await upstream(knot).fence("r1", 2)
        assert ABSENT == (await upstream(knot).look(WWW)).version

    asyncio.run(all_())


def test_what_is_no_record_is_refused(knot: Nameserver) -> None:
    """Before anybody is asked, and with the reason; ``desired`` tells nothing of it."""

    async def all_() -> None:
        one = upstream(knot, NOWHERE)
        wrong = (
            {"records": ["not an address"], "ttl": 60},
            {"records": [], "ttl": 60},
            {"records": OLD, "ttl": -1},
            {"records": OLD},
            {"records": [1], "ttl": 60},
        )
        for args in wrong:
            no = await one.call(order("dns.set", WWW, args))
            assert (Outcome.FAILED_BEFORE, "refused") == (no.outcome, no.response["refused"])
            assert "" == one.desired(order("dns.set", WWW, args))
        no = await one.call(order("dns.delete", WWW, {"records": OLD}))
        assert "takes no arguments" in no.response["detail"]

    asyncio.run(all_())


def test_the_key_is_shown_to_nobody(knot: Nameserver) -> None:
    """Not where a record has it."""

    async def all_() -> None:
        one = upstream(knot)
        target = "example.test/www/TXT"
        answer = await one.call(put([f'"{knot.credential.secret}"'], target))
        assert Outcome.OK is answer.outcome
        assert not holds(knot.credential, answer, await one.look(target), knot.credential, one)

    asyncio.run(all_())
