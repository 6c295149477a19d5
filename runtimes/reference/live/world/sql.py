"""Tables of a PostgreSQL: each run has a schema, and triggers that note each statement.

The note is made in the statement's own transaction, by a function that the agent's user cannot
touch: what was rolled back has none, and a TRUNCATE of an empty table has one.
"""

from __future__ import annotations

import asyncio

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from psycopg import sql
from psycopg.types.json import Jsonb

from harness.effects import Effect, Json, Tier
from harness.process import Site
from harness.scenario import Added
from harness.world.cell import Call
from harness.world.live import Acted, ProviderError
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.live.sql import USER, Database, database
from runtimes.reference.live.world.calls import asked, order, reply, unknown
from runtimes.reference.upstreams.sql import Sql
from runtimes.reference.upstreams.sql_tables import Statement, plain


SCHEMA = """create schema {schema};
create table {schema}.journal (at bigserial, tab text, op text);
create function {schema}.note() returns trigger language plpgsql security definer as $$ begin
  insert into {schema}.journal (tab, op) values (tg_table_name, tg_op); return null; end $$;
grant usage on schema {schema} to {user}"""
TABLE = """create table {schema}.{table} (at int, item jsonb);
grant all on {schema}.{table} to {user};
create trigger noted after insert or truncate on {schema}.{table}
  for each statement execute function {schema}.note()"""
FIRST = "insert into {schema}.{table} values (%s, %s::jsonb)"
NOTED = "select count(*) from {schema}.journal where tab = %s and op = %s"
ITEMS = "select item from {schema}.{table} order by at"
WRITES = {"copy": "INSERT", "set": "INSERT", "clear": "TRUNCATE"}
"""What the journal has of each verb, once."""


def table_of(path: str) -> str:
    """Return the table that is behind a path."""
    return path.replace("/", "_")


@dataclass(slots=True)
class Tables:
    """What a run has: a schema, its connector, and a look of our own."""

    schema: str
    lists: Mapping[str, bool]
    """Each table, and whether its value is all of its rows, or its only one."""
    agent: Sql
    owner: psycopg.Connection
    """Who looks; all runs share it, because each connection is a process of the server."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def act(self, call: Call) -> Acted:
        """Carry out a statement, in one transaction with its key."""
        path = str(call.args["path"])
        changed = table_of(str(call.args.get("to", path)))
        if call.op not in {"read", *WRITES} or {changed, table_of(path)} - set(self.lists):
            raise unknown(call)
        name = f"{call.op} {table_of(path)}" + (f" to {changed}" if call.op == "copy" else "")
        args = {"item": call.args["value"]} if call.op == "set" else {}
        async with self.lock:
            before = await self._noted(changed, call.op)
            with asked():
                answer = await self.agent.call(order(call, name, changed, _boxed(args)))
            after = await self._noted(changed, call.op)
        if call.op == "read":
            rows = _rows(answer.response)
            found = rows if self.lists[changed] else (rows or [None])[0]
            return Acted(reply(answer, found, digest(found)))
        return Acted(reply(answer), after - before)

    async def look(self, path: str) -> tuple[Json, str]:
        """Return what the rows say."""
        table = table_of(path)
        items = [plain(row[0]) for row in await self._asked(_in(ITEMS, self.schema, table))]
        value: Json = items if self.lists[table] else (items or [None])[0]
        return value, digest(value)

    async def strange(self, path: str, value: Json | Added) -> None:
        """Refuse: no scenario has somebody else at the tables."""
        msg = f"nobody else writes to {path}: {value!r}"
        raise ProviderError(msg)

    async def fence(self, run: str, epoch: int) -> None:
        """Raise the row that each writing transaction locks."""
        with asked():
            await self.agent.fence(run, epoch)

    async def _noted(self, table: str, verb: str) -> int:
        found = await self._asked(_in(NOTED, self.schema), table, WRITES.get(verb, ""))
        return int(found[0][0])

    async def _asked(self, query: sql.Composed, *values: str) -> Sequence[tuple[Any, ...]]:
        found = await asyncio.to_thread(self.owner.execute, query, values)
        return found.fetchall()


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL, as its owner sees it."""

    made: Database
    owner: psycopg.Connection

    async def part(self, run: str, values: Mapping[str, Json], tier: Tier) -> Tables:
        """Make a schema with the first rows; a list is a row for each of its items."""
        del tier
        url = self.made.server.socket_url(self.made.name)
        async with await psycopg.AsyncConnection.connect(url) as db:
            for text in SCHEMA.split(";\n"):
                await db.execute(_in(text, run))
            for path, value in values.items():
                table = table_of(path)
                for text in TABLE.split(";\n"):
                    await db.execute(_in(text, run, table))
                for at, item in enumerate(value if isinstance(value, list) else [value]):
                    await db.execute(_in(FIRST, run, table), (at, Jsonb(item)))
            await db.execute(_in("truncate {schema}.journal", run))
        made = self.made
        agent = Sql(
            made.address,
            made.name,
            made.credential,
            statements=_statements(run, [*map(table_of, values)]),
            rows={},
            tls=False,
        )
        await agent.prepare()
        lists = {table_of(path): isinstance(value, list) for path, value in values.items()}
        return Tables(run, lists, agent, self.owner)


def _in(text: str, schema: str, table: str = "") -> sql.Composed:
    names = {name: sql.Identifier(each) for name, each in (("schema", schema), ("user", USER))}
    return sql.SQL(text).format(**names, table=sql.Identifier(table))


def _statements(schema: str, tables: Sequence[str]) -> dict[str, Statement]:
    """Return all that the agent may ask of its tables."""
    found: dict[str, Statement] = {}
    for table in tables:
        place = f'"{schema}"."{table}"'
        texts = {
            "read": (f"select item from {place} order by at", Effect.READ),  # noqa: S608 - our names
            "clear": (f"truncate {place}", Effect.IRREVERSIBLE),
            "set": (_instead(place, "select 0, %(item)s::jsonb -> 0"), Effect.IDEMPOTENT),
        }
        for verb, (text, effect) in texts.items():
            found[f"{verb} {table}"] = Statement(sql=text, effect=effect, kind=table)
        for target in tables:
            text = _instead(f'"{schema}"."{target}"', f"select at, item from {place}")  # noqa: S608
            copied = Statement(sql=text, effect=Effect.IDEMPOTENT, kind=target)
            found[f"copy {table} to {target}"] = copied
    return found


def _instead(place: str, rows: str) -> str:
    """Return the statement that has rows take the place of those that are there."""
    return f"with gone as (delete from {place}) insert into {place} {rows}"  # noqa: S608


def _boxed(args: Mapping[str, Json]) -> dict[str, Json]:
    """Return arguments that reach the server as JSON, whatever they are."""
    return {name: [value] for name, value in args.items()}


def _rows(response: Json) -> list[Json]:
    rows = response.get("rows") if isinstance(response, dict) else None
    return [row["item"] for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


@contextmanager
def start(site: Site) -> Iterator[Server]:
    """Start a PostgreSQL.

    Raises:
        RuntimeUnavailableError: there is none on this machine.
        ProcessError: it was not ready in time.

    """
    with database(site, name="live-sql") as made:
        url = made.server.socket_url(made.name)
        with psycopg.connect(url, autocommit=True) as owner:
            yield Server(made, owner)


START = start
