"""The way to PostgreSQL, and what each of its failures says of what was done."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from harness.process import Address
from runtimes.reference.upstreams.base import Answer, LostError, UnreachableError
from runtimes.reference.upstreams.credential import Credential, sealed
from runtimes.reference.upstreams.refusal import Refusal, refused


CONNECT_S, COMMIT_S, SPARE_S = 5, 10, 2
LATER = ("40", "55P03", "57014")
"""States of what was rolled back and may be tried again: serialisation, deadlock, time."""
BROKEN = ("08", "57P", "58", "40003")
"""States after which a commit may be there or not."""
CLOSED = ("28", "53")
"""States of who was not let in."""


class Door:
    """Where a database is, and how long the server bears with one of our transactions."""

    def __init__(
        self, address: Address, database: str, credential: Credential, *, tls: bool, work_s: int
    ) -> None:
        """Prepare; nobody is connected to."""
        self.address = address
        self._database, self._credential, self._tls = database, credential, tls
        self._work_s = work_s

    @property
    def most_s(self) -> int:
        """Return how long we wait ourselves, for a server that does not keep its time."""
        return self._work_s + SPARE_S

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Lend a connection whose statements and pauses the server itself ends."""
        most = self._work_s * 1000
        db = await psycopg.AsyncConnection.connect(
            autocommit=True,
            host=self.address.host,
            port=self.address.port,
            dbname=self._database,
            user=self._credential.name,
            password=self._credential.secret,
            sslmode="verify-full" if self._tls else "disable",
            sslrootcert="system" if self._tls else None,
            connect_timeout=CONNECT_S,
            application_name="bakeoff-gateway",
            options=f"-c statement_timeout={most} -c idle_in_transaction_session_timeout={most}",
        )
        try:
            yield db
        finally:
            await db.close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Lend a connection for what may be repeated.

        Raises:
            UnreachableError: whatever failed.

        """
        with sealed():
            try:
                async with self.opened() as db, asyncio.timeout(self.most_s):
                    yield db
            except TimeoutError:
                msg = f"{self.address}: no answer in time"
                raise UnreachableError(msg) from None
            except psycopg.Error as error:
                msg = f"{self.address}: {self._told(error)}"
                raise UnreachableError(msg) from None

    def refusal(self, error: psycopg.Error) -> Answer:
        """Return what the server says of a statement; nothing was done.

        Raises:
            UnreachableError: it is not the statement that failed, but the way there.

        """
        code = error.sqlstate or ""
        if not code and isinstance(error, psycopg.DataError | psycopg.ProgrammingError):
            # It was never sent: a NUL in a text.
            return refused(Refusal.REFUSED, self._credential.hide(str(error)))
        if not code or code.startswith((*BROKEN, *CLOSED)):
            msg = f"{self.address}: {self._told(error)}; nothing was done"
            raise UnreachableError(msg)
        why = Refusal.THROTTLED if code.startswith(LATER) else Refusal.REFUSED
        return refused(why, self._told(error))

    def _told(self, error: psycopg.Error) -> str:
        said = f"{error.sqlstate or ''} {error.diag.message_primary or ''}".strip()
        return self._credential.hide(said or type(error).__name__)


async def committed(db: psycopg.AsyncConnection, op: str) -> None:
    """Commit.

    Raises:
        LostError: there was no answer to it.
        psycopg.Error: the server has rolled it back.

    """
    try:
        async with asyncio.timeout(COMMIT_S):
            await db.execute("commit")
    except (psycopg.Error, TimeoutError) as error:
        code = error.sqlstate if isinstance(error, psycopg.Error) else None
        if code and not code.startswith(BROKEN):
            raise
        msg = f"the commit of {op} had no answer: its key says whether it was done"
        raise LostError(msg) from None
