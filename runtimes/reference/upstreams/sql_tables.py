"""What the connector of PostgreSQL keeps there and asks there, one statement each."""

from __future__ import annotations

import re

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
import psycopg

from psycopg.types.json import Jsonb

from harness.effects import Effect, Json
from runtimes.reference.effect_log.canonical import canonical, digest
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import Answer, LostError, Order
from runtimes.reference.upstreams.refusal import ABSENT, Refusal, refused


PARAMETER = re.compile(r"%\((\w+)\)s")
LOCK = 0x42414B46
"""Two that begin at once make the tables one after the other."""
EFFECTS = """create table if not exists bakeoff_effects (
  key text primary key, request_hash text not null, answer text, epoch bigint not null
)"""
FENCE = "create table if not exists bakeoff_fence (run text primary key, epoch bigint not null)"
RAISE = """insert into bakeoff_fence values (%s, %s)
on conflict (run) do update set epoch = greatest(bakeoff_fence.epoch, excluded.epoch)"""
CLAIM = "insert into bakeoff_effects values (%s, %s, null, %s) on conflict do nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A kind of row that has a version: ``sql`` selects version and value by ``%(id)s``."""

    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An operation: what it does, and how that stands repetition.

    ``kind`` is the first word of its targets; the second is ``%(id)s``, where the kind has rows.
    ``leaves`` names the parameter that is the row's value afterwards, if one is.
    """

    sql: str
    effect: Effect
    kind: str
    leaves: str = ""

    @property
    def asks(self) -> set[str]:
        """Return the names of its arguments."""
        return set(PARAMETER.findall(self.sql)) - {"id"}


async def prepared(db: psycopg.AsyncConnection) -> None:
    """Make the tables."""
    async with db.transaction():
        await db.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        await db.execute(EFFECTS)
        await db.execute(FENCE)


async def raised(db: psycopg.AsyncConnection, run: str, epoch: int) -> None:
    """Raise the fence; waits for the transactions that have passed it."""
    await db.execute(RAISE, (run, epoch))


async def outdated(db: psycopg.AsyncConnection, run: str, epoch: int) -> Answer | None:
    """Pass the fence, and keep it from being raised until the transaction ends."""
    await db.execute("insert into bakeoff_fence values (%s, 0) on conflict do nothing", (run,))
    found = await db.execute("select epoch from bakeoff_fence where run = %s for share", (run,))
    row = await found.fetchone()
    now = int(row[0]) if row else 0
    if epoch >= now:
        return None
    return refused(Refusal.FENCED, f"epoch {epoch}; {run} is in epoch {now}", epoch=now)


async def claimed(db: psycopg.AsyncConnection, key: str, request: str, epoch: int) -> Answer | None:
    """Take a key, or return how its first order was answered.

    Raises:
        LostError: another attempt has it and does not end.

    """
    try:
        made = await db.execute(CLAIM, (key, request, epoch))
    except psycopg.errors.QueryCanceled:
        msg = "another attempt of it is on its way and does not end"
        raise LostError(msg) from None
    return None if made.rowcount else await kept(db, key, request)


async def kept(db: psycopg.AsyncConnection, key: str, request: str) -> Answer | None:
    """Return how the order of a key was answered, or that the key is another request's."""
    query = "select request_hash, answer from bakeoff_effects where key = %s"
    row = await (await db.execute(query, (key,))).fetchone()
    if row is None:
        return None
    if row[0] != request:
        return refused(Refusal.MISMATCH, "the key belongs to another request")
    return Answer(outcome=Outcome.OK, replayed=True, **orjson.loads(row[1]))


async def keep(db: psycopg.AsyncConnection, key: str, answer: Answer) -> None:
    """Write the answer beside its key."""
    whole: Json = {
        "response": answer.response,
        "resource": answer.resource,
        "before": answer.before,
        "after": answer.after,
        "ref": answer.ref,
    }
    text = canonical(whole).decode()
    await db.execute("update bakeoff_effects set answer = %s where key = %s", (text, key))


async def state(
    db: psycopg.AsyncConnection, rows: Rows, name: str, lock: str = ""
) -> tuple[str, Json]:
    """Return the version and the value of a row, as it stays if it is locked."""
    found = await db.execute(f"{rows.sql} {lock}".encode(), {"id": name})
    row = await found.fetchone()
    return (str(row[0]), plain(row[1])) if row else (ABSENT, None)


async def result(
    db: psycopg.AsyncConnection, statement: Statement, args: Mapping[str, Json]
) -> tuple[Json, str]:
    """Run a statement; return its rows, how many it met, and the transaction's number."""
    values = {
        name: Jsonb(value) if isinstance(value, dict | list) else value
        for name, value in args.items()
    }
    cursor = await db.execute(statement.sql.encode(), values)
    names = [column.name for column in cursor.description or ()]
    rows = await cursor.fetchall() if names else []
    response: Json = {
        "count": cursor.rowcount,
        "rows": [dict(zip(names, map(plain, row), strict=True)) for row in rows],
    }
    numbered = await db.execute("select coalesce(pg_current_xact_id_if_assigned()::text, '')")
    number = await numbered.fetchone()
    return response, str(number[0]) if number else ""


def identity(order: Order) -> str:
    """Return the hash of what makes two orders the same request."""
    target: list[Json] = [order.op, order.target, order.expect, dict(order.args)]
    return digest(target)


def plain(value: object) -> Json:
    """Return a column as JSON without floats: what JSON does not have is text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
