"""PostgreSQL behind the gateway: one transaction for the effect and the record of its key."""

from __future__ import annotations

import asyncio
import shutil

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.upstreams import NOWHERE, deaf, holds, order, place

from harness.deadline import Deadline, wait_until
from harness.effects import Effect, Tier
from harness.process import Address
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.live.sql import Database, database
from runtimes.reference.upstreams.base import (
    LostError,
    Order,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.refusal import ABSENT, FOREVER_S
from runtimes.reference.upstreams.sql import Sql
from runtimes.reference.upstreams.sql_tables import Rows, Statement
from runtimes.support.postgres import DEBIAN


pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("upstream-sql"),
    pytest.mark.skipif(
        not (DEBIAN / "postgres").is_file() and shutil.which("postgres") is None,
        reason="no PostgreSQL on this machine: apt-get install postgresql-15",
    ),
]
PATIENCE_S = 30.0
SCHEMA = (
    "create table setting (id text primary key, value jsonb not null, version bigint not null)",
    "create table transfer (number bigserial, amount int not null check (amount > 0))",
)
ROWS = {"setting": Rows(sql="select version, value from setting where id = %(id)s")}
SET = """insert into setting values (%(id)s, %(value)s, 1)
on conflict (id) do update set value = excluded.value, version = setting.version + 1"""
STATEMENTS = {
    "pay": Statement(
        sql="insert into transfer (amount) values (%(amount)s) returning amount",
        effect=Effect.IRREVERSIBLE,
        kind="transfers",
    ),
    "set": Statement(sql=SET, effect=Effect.HYBRID, kind="setting", leaves="value"),
    "count": Statement(
        sql="select count(*) as number, 0.5 as half from transfer",
        effect=Effect.READ,
        kind="transfers",
    ),
    "sneak": Statement(
        sql="insert into transfer (amount) values (1)", effect=Effect.READ, kind="transfers"
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    """Lend a database with a table of transfers and one of settings."""
    with place() as site, database(site, SCHEMA) as made:
        asyncio.run(upstream(made).prepare())
        yield made


@pytest.fixture
def db(server: Database) -> Iterator[Database]:
    """Lend the database with nothing in it."""
    yield server
    tables = "transfer, setting, bakeoff_effects, bakeoff_fence"
    server.server.sql(f"truncate {tables}", server.name)


def upstream(db: Database, at: Address | None = None, **more: Any) -> Sql:
    """Return the connector, straight to the server or by way of a link."""
    fields = {"statements": STATEMENTS, "rows": ROWS, "tls": False, **more}
    return Sql(at or db.address, db.name, fields.pop("credential", db.credential), **fields)


def pay(amount: int = 5, **more: Any) -> Order:
    """Return the order of a transfer."""
    return order("pay", "transfers", {"amount": amount}, **{"key": "k1", **more})


def put(value: Any, **more: Any) -> Order:
    """Return the order to write a setting."""
    return order("set", "setting/mode", {"value": value}, **{"key": "k1", **more})


def paid(db: Database) -> int:
    """Return how many transfers there are."""
    return int(db.server.sql("select count(*) from transfer", db.name))


def waiting(db: Database, number: int) -> None:
    """Return once that many wait for a lock."""
    asks = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
    deadline = Deadline.after(PATIENCE_S)
    wait_until(lambda: str(number) == db.server.sql(asks), deadline, f"{number} wait for a lock")


def test_what_is_promised(db: Database) -> None:
    """A key for ever and a fence for what writes; nothing of what is not on the list."""
    one = upstream(db)
    contract = one.contract("pay", "transfers")
    assert (Effect.IRREVERSIBLE, Tier.K, FOREVER_S, True) == (
        contract.effect,
        contract.tier,
        contract.retention_s,
        contract.fenced,
    )
    assert Effect.READ is one.contract("count", "transfers").effect
    assert not one.contract("count", "transfers").fenced
    for op, target in (("drop", "transfers"), ("pay", "setting/mode"), ("set", "setting")):
        with pytest.raises(UnknownOperationError, match="there are"):
            one.contract(op, target)


def test_a_repeated_key_is_answered_with_its_first_answer(db: Database) -> None:
    """Once, also when two attempts are on their way together; another key is another effect."""

    async def all_() -> None:
        one = upstream(db)
        first, second = await asyncio.gather(one.call(pay()), one.call(pay()))
        assert Outcome.OK is first.outcome
        assert {False, True} == {first.replayed, second.replayed}
        assert first.response == second.response == {"count": 1, "rows": [{"amount": 5}]}
        assert first.ref == second.ref
        assert 1 == paid(db)
        assert Outcome.OK is (await one.call(pay(key="k2"))).outcome
        assert 2 == paid(db)

    asyncio.run(all_())


def test_a_key_is_bound_to_its_request(db: Database) -> None:
    """With another amount it is refused, to the query too, and nothing is done."""

    async def all_() -> None:
        one = upstream(db)
        await one.call(pay(5))
        for answer in (await one.call(pay(6)), await one.query(pay(6))):
            assert answer
            assert Outcome.FAILED_BEFORE is answer.outcome
            assert "mismatch" == answer.response["refused"]
        assert 1 == paid(db)

    asyncio.run(all_())


def test_a_write_rests_on_the_version_that_was_seen(db: Database) -> None:
    """On another it conflicts and says which; the right one passes; ``absent`` creates."""

    async def all_() -> None:
        one = upstream(db)
        assert ABSENT == (await one.look("setting/mode")).version
        made = await one.call(put({"a": 1}, expect=ABSENT))
        assert (ABSENT, "1") == (made.before, made.after)
        again = await one.call(put({"a": 2}, expect=ABSENT, key="k2"))
        assert (Outcome.CONFLICT, "1") == (again.outcome, again.before)
        wanted = put({"a": 2}, expect="1", key="k2")
        assert "2" == (await one.call(wanted)).after
        seen = await one.look("setting/mode")
        assert ("2", {"a": 2}, one.desired(wanted)) == (seen.version, seen.value, seen.value_hash)
        assert digest({"a": 2}) == seen.value_hash
        assert "" == one.desired(pay())

    asyncio.run(all_())


def test_premises_hold_in_the_same_transaction(db: Database) -> None:
    """One that has changed is a conflict, and its key is free for when it holds."""

    async def all_() -> None:
        one = upstream(db)
        await one.call(put({"a": 1}, key="k0"))
        answer = await one.call(pay(premises={"setting/mode": "7"}))
        assert (Outcome.CONFLICT, "setting/mode") == (answer.outcome, answer.resource)
        assert 0 == paid(db)
        assert Outcome.OK is (await one.call(pay(premises={"setting/mode": "1"}))).outcome
        for version, outcome in (("1", Outcome.OK), ("7", Outcome.CONFLICT)):
            read = order("count", "transfers", premises={"setting/mode": version})
            assert outcome is (await one.call(read)).outcome
        with pytest.raises(UnknownOperationError, match="has no version"):
            await one.call(pay(key="k3", premises={"transfers": "1"}))

    asyncio.run(all_())


def test_a_lost_commit_is_told_by_its_key(db: Database) -> None:
    """The reply to it is lost: the key says that it was done, and a repetition does nothing."""

    async def all_(at: Address) -> None:
        with pytest.raises(LostError, match="its key says") as lost:
            await upstream(db, at).call(pay())
        assert not holds(db.credential, lost.value)
        one = upstream(db)
        known = await one.query(pay())
        assert known
        assert (Outcome.OK, True) == (known.outcome, known.replayed)
        assert known == await one.call(pay())
        assert 1 == paid(db)
        assert await one.query(pay(key="k2")) is None

    with deaf(db.address) as link:
        assert Outcome.OK is asyncio.run(upstream(db, link.address).call(pay(key="k0"))).outcome
        db.server.sql("truncate transfer", db.name)
        link.losing(b"commit")
        asyncio.run(all_(link.address))
        assert 1 == link.lost


def test_what_is_lost_before_the_commit_was_not_done(db: Database) -> None:
    """The server rolls it back: it is told as such, and the same order passes later."""

    async def all_(at: Address) -> None:
        with pytest.raises(UnreachableError, match="nothing was done"):
            await upstream(db, at).call(pay())
        assert await upstream(db).query(pay()) is None
        assert 0 == paid(db)
        assert Outcome.OK is (await upstream(db).call(pay())).outcome

    with deaf(db.address) as link:
        link.losing(b"insert into transfer")
        asyncio.run(all_(link.address))


def test_nobody_answers(db: Database) -> None:
    """It is said of everything that would need an answer, without the password."""

    async def all_() -> None:
        one = upstream(db, NOWHERE)
        asked = (
            lambda: one.call(pay()),
            lambda: one.query(pay()),
            lambda: one.look("setting/mode"),
            lambda: one.fence("r1", 2),
        )
        for each in asked:
            with pytest.raises(UnreachableError) as error:
                await each()
            assert not holds(db.credential, error.value)
        wrong = Credential(name=db.credential.name, secret="wrong" * 2)
        with pytest.raises(UnreachableError, match="nothing was done") as error:
            await upstream(db, credential=wrong).call(pay())
        assert not holds(wrong, error.value)
        assert 0 == paid(db)

    asyncio.run(all_())


def test_an_older_epoch_is_refused_once_the_fence_is_raised(db: Database) -> None:
    """It never falls, and other runs are not concerned."""

    async def all_() -> None:
        one = upstream(db)
        assert Outcome.OK is (await one.call(pay(epoch=1))).outcome
        assert await one.fence("r1", 3)
        assert await one.fence("r1", 2)
        late = await one.call(pay(epoch=2, key="k2"))
        assert (Outcome.FAILED_BEFORE, "fenced", 3) == (
            late.outcome,
            late.response["refused"],
            late.response["epoch"],
        )
        assert 1 == paid(db)
        assert Outcome.OK is (await one.call(pay(epoch=3, key="k2"))).outcome
        assert Outcome.OK is (await one.call(pay(epoch=1, key="k3", run="r2"))).outcome

    asyncio.run(all_())


def test_the_fence_waits_for_what_has_passed_it(db: Database) -> None:
    """A transaction of the older epoch ends first; then nothing of it can be in progress."""

    async def all_() -> None:
        one = upstream(db)
        assert await one.fence("r1", 1)
        user = db.credential
        held = await psycopg.AsyncConnection.connect(
            host=db.address.host, port=db.address.port, dbname=db.name, user=user.name,
            password=user.secret, sslmode="disable", autocommit=True,
        )  # fmt: skip
        async with held:
            await held.execute("begin")
            await held.execute("lock table transfer")
            call = asyncio.create_task(one.call(pay(epoch=1)))
            await asyncio.to_thread(waiting, db, 1)
            fence = asyncio.create_task(one.fence("r1", 2))
            await asyncio.to_thread(waiting, db, 2)
            assert not fence.done()
            await held.execute("rollback")
            assert Outcome.OK is (await call).outcome
            assert await fence

    asyncio.run(all_())


def test_what_the_server_refuses_was_not_done(db: Database) -> None:
    """With what it said; the key is free; and what is called a read cannot write."""

    async def all_() -> None:
        one = upstream(db)
        no = await one.call(pay(-1))
        assert (Outcome.FAILED_BEFORE, "refused") == (no.outcome, no.response["refused"])
        assert "transfer_amount_check" in no.response["detail"]
        assert Outcome.OK is (await one.call(pay(1))).outcome
        sneaked = await one.call(order("sneak", "transfers"))
        assert "read-only transaction" in sneaked.response["detail"]
        assert 1 == paid(db)
        counted = await one.call(order("count", "transfers"))
        assert {"count": 1, "rows": [{"number": 1, "half": "0.5"}]} == counted.response
        for wrong in (pay(key=""), order("pay", "transfers", {"sum": 1}, key="k9")):
            assert "refused" == (await one.call(wrong)).response["refused"]

    asyncio.run(all_())


def test_a_text_that_cannot_be_sent_is_refused(db: Database) -> None:
    """A NUL: it would be tried again for ever if that were taken for a broken way there."""
    answer = asyncio.run(upstream(db).call(put("a\0b")))
    assert Outcome.FAILED_BEFORE is answer.outcome
    assert "refused" == answer.response["refused"]


def test_the_password_is_shown_to_nobody(db: Database) -> None:
    """Not by its holder, and not in an answer that has it."""
    secret = db.credential.secret

    async def all_() -> None:
        answer = await upstream(db).call(put({"echo": f"password={secret}"}))
        assert not holds(db.credential, answer)
        seen = await upstream(db).look("setting/mode")
        assert not holds(db.credential, seen, db.credential, upstream(db))
        assert {"echo": "password=[credential]"} == seen.value

    asyncio.run(all_())
