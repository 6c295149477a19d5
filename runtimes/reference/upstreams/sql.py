"""PostgreSQL: an effect and the record of its key are one transaction, so it happens once.

The agent sends no SQL: an operation is the name of a statement, and its arguments are values.
"""

from __future__ import annotations

import asyncio

from collections.abc import Mapping, Sequence

import psycopg

from harness.effects import Tier
from harness.process import Address
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    Order,
    Seen,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.credential import Credential, sealed
from runtimes.reference.upstreams.refusal import FOREVER_S, Refusal, conflict, refused
from runtimes.reference.upstreams.sql_door import (
    CONNECT_S,
    SPARE_S,
    Door,
    committed,
)
from runtimes.reference.upstreams.sql_tables import (
    Rows,
    Statement,
    claimed,
    identity,
    keep,
    kept,
    outdated,
    prepared,
    raised,
    result,
    state,
)


class Sql:
    """The named statements of a database.

    ``deadline_s`` holds at the server: an idle transaction of an older call is ended there.
    """

    def __init__(
        self,
        address: Address,
        database: str,
        credential: Credential,
        *,
        statements: Mapping[str, Statement],
        rows: Mapping[str, Rows],
        tls: bool = True,
        deadline_s: int = 30,
    ) -> None:
        """Prepare; nobody is connected to."""
        self._credential = credential
        self._door = Door(address, database, credential, tls=tls, work_s=_work_s(deadline_s))
        self._statements, self._rows = dict(statements), dict(rows)
        self._deadline_s = deadline_s

    def credentials(self) -> Sequence[Credential]:
        """Return what it connects with."""
        return (self._credential,)

    def contract(self, op: str, target: str) -> Contract:
        """Return what is promised: a key for ever, versions where there are rows, a fence."""
        statement = self._statement(op, target)
        return Contract(
            effect=statement.effect,
            tier=Tier.K if statement.effect.writes else Tier.Q,
            retention_s=FOREVER_S if statement.effect.writes else 0,
            deadline_s=self._deadline_s,
            fenced=statement.effect.writes,
        )

    async def call(self, order: Order) -> Answer:
        """Carry out an order in one transaction with the record of its key."""
        statement = self._statement(order.op, order.target)
        if set(order.args) != statement.asks:
            detail = f"{order.op} takes {sorted(statement.asks)}, not {sorted(order.args)}"
            return refused(Refusal.REFUSED, detail)
        if statement.effect.writes and not order.key:
            return refused(Refusal.REFUSED, f"{order.op} writes, and has no key")
        with sealed():
            try:
                async with self._door.opened() as db:
                    return await self._carried_out(db, order, statement)
            except psycopg.Error as error:
                return self._door.refusal(error)
            except TimeoutError:
                msg = f"{self._door.address} did not answer in time; nothing was done"
                raise UnreachableError(msg) from None

    async def query(self, order: Order) -> Answer | None:
        """Return how an order was answered: its key says so, in the transaction that did it."""
        self._statement(order.op, order.target)
        async with self._door.reading() as db:
            return await kept(db, order.key, identity(order))

    async def look(self, resource: str) -> Seen:
        """Return the version and the value of a row."""
        rows, name = self._row(resource)
        if rows is None:
            return Seen(resource=resource, version="", value_hash="")
        async with self._door.reading() as db:
            version, held = await state(db, rows, name)
        value = self._credential.clean(held)
        return Seen(resource=resource, version=version, value_hash=digest(value), value=value)

    def desired(self, order: Order) -> str:
        """Return the hash of the value that the statement says it leaves."""
        leaves = self._statement(order.op, order.target).leaves
        return digest(self._credential.clean(order.args[leaves])) if leaves in order.args else ""

    async def fence(self, run: str, epoch: int) -> bool:
        """Refuse older epochs; what is in progress has ended by then, one way or the other."""
        async with self._door.reading() as db:
            await raised(db, run, epoch)
        return True

    async def prepare(self) -> None:
        """Make the tables of keys and epochs, where there are none."""
        async with self._door.reading() as db:
            await prepared(db)

    async def _carried_out(
        self, db: psycopg.AsyncConnection, order: Order, statement: Statement
    ) -> Answer:
        async with asyncio.timeout(self._door.most_s):
            answer = await self._made(db, order, statement)
        if answer.outcome is Outcome.OK and not answer.replayed:
            await committed(db, order.op)
        return answer

    async def _made(
        self, db: psycopg.AsyncConnection, order: Order, statement: Statement
    ) -> Answer:
        """Do all but the commit; whatever is returned but a new OK is rolled back."""
        rows, name = self._row(order.target)
        writes = statement.effect.writes
        await db.execute("begin" if writes else "begin read only")
        if writes:
            no = await outdated(db, order.run, order.epoch)
            no = no or await claimed(db, order.key, identity(order), order.epoch)
            if no:
                return no
        for at, version in order.premises.items():
            premise, of = self._row(at)
            if premise is None:
                msg = f"{at!r} has no version; nothing was done"
                raise UnknownOperationError(msg)
            seen, _ = await state(db, premise, of, "for share" if writes else "")
            if seen != version:
                return conflict(at, seen, "a premise has changed")
        before, _ = (
            await state(db, rows, name, "for update" if writes else "") if rows else ("", None)
        )
        if order.expect and before != order.expect:
            return conflict(order.target, before)
        response, ref = await result(db, statement, {**order.args, "id": name})
        after, _ = await state(db, rows, name) if rows else ("", None)
        answer = Answer(
            outcome=Outcome.OK,
            response=self._credential.clean(response),
            resource=order.target,
            before=before,
            after=after,
            ref=ref,
        )
        if writes:
            await keep(db, order.key, answer)
        return answer

    def _statement(self, op: str, target: str) -> Statement:
        statement = self._statements.get(op)
        kind, _, name = target.partition("/")
        if statement is None or statement.kind != kind or (kind in self._rows) != bool(name):
            msg = f"no {op} on {target!r}; there are {sorted(self._statements)}"
            raise UnknownOperationError(msg)
        return statement

    def _row(self, resource: str) -> tuple[Rows | None, str]:
        kind, _, name = resource.partition("/")
        known = {statement.kind for statement in self._statements.values()} | set(self._rows)
        if kind not in known or (kind in self._rows) != bool(name):
            msg = f"no resource {resource!r}; there are {sorted(known)}"
            raise UnknownOperationError(msg)
        return self._rows.get(kind), name


def _work_s(deadline_s: int) -> int:
    # A commit that the network holds is void once its transaction has been idle for so long.
    return max(1, (deadline_s - CONNECT_S - SPARE_S) // 2)
