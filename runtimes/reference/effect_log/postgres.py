"""Rows in PostgreSQL: many gateways, one log.  Whoever writes a number first has it."""

from __future__ import annotations

import hashlib

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg

from runtimes.reference.effect_log.chain import FORMAT, Row
from runtimes.reference.effect_log.errors import (
    DamagedError,
    DoubtError,
    FencedError,
    NotWrittenError,
    UnavailableError,
    VersionError,
)


CONNECT_S = PATIENCE_S = 10
SCHEMA = """
create schema if not exists bakeoff;
create table if not exists bakeoff.format (version integer primary key);
create table if not exists bakeoff.log (
  run text not null, seq bigint not null, data bytea not null, crc bigint not null,
  hash bytea not null, primary key (run, seq)
);
create table if not exists bakeoff.blob (hash text primary key, data bytea not null);
insert into bakeoff.format select %s where not exists (select from bakeoff.format);
"""
LOCK = 0x42414B45
"""Two that begin at once make the tables one after the other."""


class PostgresStore:
    """The tables of schema ``bakeoff`` in a database."""

    def __init__(self, dsn: str, *, careless: bool = False) -> None:
        """Connect, and make the tables where there are none.

        ``careless`` takes a server that does not sync, as tests have it.

        Raises:
            NotWrittenError: nobody answers, or what it acknowledges does not outlive the power.
            VersionError: another version wrote the tables.

        """
        self._dsn, self._careless = dsn, careless
        self._db: psycopg.Connection | None = None
        with self._writing() as db, db.transaction():
            db.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
            for statement in SCHEMA.split(";")[:-2]:
                db.execute(statement)
            db.execute(SCHEMA.split(";")[-2], (FORMAT,))
            found = [row[0] for row in db.execute("select version from bakeoff.format")]
        if found != [FORMAT]:
            self.close()
            msg = f"the log is of version {found}; this is for version {FORMAT}"
            raise VersionError(msg)

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows, all or none."""
        with self._writing() as db:
            with db.cursor() as cursor:
                cursor.execute("begin")
                self._follow(cursor, rows)
                cursor.executemany(
                    "insert into bakeoff.log values (%s, %s, %s, %s, %s)",
                    [(row.run, row.seq, row.data, row.crc, row.hash) for row in rows],
                )
            self._commit(db)

    def rows(self, run: str) -> Iterator[Row]:
        """Yield the rows of a run in order."""
        query = "select run, seq, data, crc, hash from bakeoff.log where run = %s order by seq"
        with self._reading() as db:
            for row in db.execute(query, (run,)):
                yield Row(*row)

    def runs(self) -> Sequence[str]:
        """Return the runs that have rows, in order."""
        with self._reading() as db:
            return [row[0] for row in db.execute("select distinct run from bakeoff.log order by 1")]

    def put(self, blob: bytes) -> str:
        """Keep bytes."""
        name = hashlib.sha256(blob).hexdigest()
        with self._writing() as db:
            db.execute(
                "insert into bakeoff.blob values (%s, %s) on conflict do nothing", (name, blob)
            )
        return name

    def get(self, digest: str) -> bytes:
        """Return kept bytes."""
        with self._reading() as db:
            rows = db.execute("select data from bakeoff.blob where hash = %s", (digest,))
            found = rows.fetchone()
        if found is None or hashlib.sha256(found[0]).hexdigest() != digest:
            msg = f"blob {digest[:12]} is not what was kept"
            raise DamagedError(msg)
        return bytes(found[0])

    def drop(self, run: str, before: int) -> None:
        """Remove the rows of a run below a number."""
        with self._writing() as db:
            db.execute("delete from bakeoff.log where run = %s and seq < %s", (run, before))

    def close(self) -> None:
        """End; the tables stay."""
        if self._db:
            self._db.close()

    def _connected(self) -> psycopg.Connection:
        """Return the connection, a new one where the last has broken."""
        if self._db is None or self._db.closed:
            self._db = psycopg.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=CONNECT_S,
                application_name="bakeoff",
                # Who is frozen in the middle of a write must not keep the others from theirs.
                tcp_user_timeout=PATIENCE_S * 1000,
            )
            self._db.execute("set synchronous_commit = on")
            for name in ("statement", "lock", "idle_in_transaction_session"):
                self._db.execute(f"set {name}_timeout = '{PATIENCE_S}s'".encode())
            synced = self._db.execute("show fsync").fetchone()
            if not self._careless and synced != ("on",):
                self._db.close()
                msg = "this PostgreSQL has fsync off: it may forget what it acknowledged"
                raise NotWrittenError(msg)
        return self._db

    def _follow(self, cursor: psycopg.Cursor, rows: Sequence[Row]) -> None:
        """Hold the first row of each run to the one before it: a log has no gaps."""
        for row in {row.run: row for row in reversed(rows) if row.seq > 1}.values():
            cursor.execute(
                "select from bakeoff.log where run = %s and seq = %s", (row.run, row.seq - 1)
            )
            if cursor.rowcount == 0:
                msg = f"{row.run} has no record {row.seq - 1}; nothing was written"
                raise FencedError(msg)

    def _commit(self, db: psycopg.Connection) -> None:
        try:
            db.execute("commit")
        except psycopg.Error as error:
            with suppress(psycopg.Error):
                db.close()
            msg = f"the commit had no answer: {error}; what was being written may be there or not"
            raise DoubtError(msg) from error

    @contextmanager
    def _reading(self) -> Iterator[psycopg.Connection]:
        try:
            yield self._connected()
        except psycopg.Error as error:
            msg = f"the log cannot be read: {error}"
            if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
                raise UnavailableError(msg) from error
            raise DamagedError(msg) from error

    @contextmanager
    def _writing(self) -> Iterator[psycopg.Connection]:
        """Lend the connection; whatever fails before a commit has written nothing."""
        db = None
        try:
            db = self._connected()
            yield db
        except psycopg.Error as error:
            if db:
                self._roll_back(db)
            if isinstance(error, psycopg.errors.UniqueViolation):
                msg = "another writer was here first; nothing was written"
                raise FencedError(msg) from error
            msg = f"{error}; nothing was written"
            raise NotWrittenError(msg) from error
        except FencedError:
            if db:
                self._roll_back(db)
            raise

    def _roll_back(self, db: psycopg.Connection) -> None:
        try:
            db.execute("rollback")
        except psycopg.Error:
            db.close()
