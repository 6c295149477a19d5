"""Rows in a SQLite file, each commit synced: the embedded default.

Rows of all runs stand one after another, each with the place of the one before it of its run, so
that a commit of many runs writes the few pages at the end.  In the order of runs, each of them
would have a page of its own, and a commit of sixty would write sixty.
"""

from __future__ import annotations

import hashlib
import sqlite3

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runtimes.reference.effect_log.chain import FORMAT, Row
from runtimes.reference.effect_log.errors import (
    DamagedError,
    DoubtError,
    FencedError,
    NotWrittenError,
    UnavailableError,
    VersionError,
)


APPLICATION = 0x42414B45
"""``BAKE``: the file says what it is."""
BUSY_S = 5.0
CHECKPOINT = 256
"""After so many pages the file that is written ahead begins anew.

As long as it grows a commit takes twice as long, since the file system has its size to sync too.
"""
SCHEMA = """
create table head (
  run text primary key, seq integer not null, last integer not null
) strict, without rowid;
create table log (
  id integer primary key, run text not null, seq integer not null, before integer not null,
  data blob not null, crc integer not null, hash blob not null
) strict;
create table blob (hash text primary key, data blob not null) strict, without rowid;
"""
WHOLE = {"SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_READONLY", "SQLITE_TOOBIG"}
"""Errors after which SQLite has rolled back: nothing of the transaction is there."""


AWAY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_NOMEM")
"""Errors that tell nothing of what is in the file."""


class SqliteStore:
    """A file, at which there are only stores like this one."""

    def __init__(self, path: Path, *, only_read: bool = False) -> None:
        """Open the file, or begin it; ``only_read`` opens one that is there, whoever writes it.

        Raises:
            DamagedError: it is no such file, or cannot be read.
            UnavailableError: it cannot be opened, or is locked.
            VersionError: another version wrote it.
            NotWrittenError: it cannot be begun.

        """
        self._path = path
        self._heads: dict[str, tuple[int, int]] = {}
        """What this store wrote, or found: good as long as nobody else has written."""
        self._version: int | None = None
        self._last = 0
        with self._reading():
            mode = "ro" if only_read else "rwc"
            self._sql = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=BUSY_S,
                isolation_level=None,
            )
        try:
            self._begin(only_read=only_read)
        except BaseException:
            self._sql.close()
            raise

    def _begin(self, *, only_read: bool) -> None:
        with self._reading():
            if not only_read:
                self._sql.execute("pragma journal_mode = wal")
                self._sql.execute("pragma synchronous = full")
                self._sql.execute(f"pragma wal_autocheckpoint = {CHECKPOINT}")
            self._sql.execute("pragma trusted_schema = off")
            (app,), (version,) = (
                self._sql.execute(f"pragma {name}").fetchone()
                for name in ("application_id", "user_version")
            )
            tables = [row[0] for row in self._sql.execute("select name from sqlite_schema")]
        if not tables and not app and not only_read:
            with self._writing():
                self._sql.executescript(
                    f"begin immediate; {SCHEMA} pragma application_id = {APPLICATION};"
                    f"pragma user_version = {FORMAT}; commit;"
                )
            return
        if app != APPLICATION or not {"head", "log", "blob"} <= set(tables):
            msg = f"{self._path} is no effect log of bakeoff"
            raise DamagedError(msg)
        if version != FORMAT:
            msg = f"{self._path} is of version {version}; this is for version {FORMAT}"
            raise VersionError(msg)

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows, all or none."""
        with self._writing():
            self._sql.execute("begin immediate")
            self._look_again()
            heads: dict[str, tuple[int, int]] = {}
            lines = []
            for ident, row in enumerate(rows, self._last + 1):
                run = row.run
                seq, before = heads.get(run) or self._heads.get(run) or self._head(run)
                if row.seq != seq + 1:
                    msg = f"{run} has {seq} records, this is {row.seq}; nothing was written"
                    raise FencedError(msg)
                heads[run] = (row.seq, ident)
                lines.append((ident, run, row.seq, before, row.data, row.crc, row.hash))
            self._sql.executemany("insert into log values (?, ?, ?, ?, ?, ?, ?)", lines)
            self._sql.executemany(
                "insert into head values (?, ?, ?)"
                " on conflict do update set seq = excluded.seq, last = excluded.last",
                [(run, *head) for run, head in heads.items()],
            )
            self._sql.execute("commit")
        self._heads |= heads
        self._last += len(lines)

    def rows(self, run: str) -> Iterator[Row]:
        """Yield the rows of a run in order."""
        for _, row in reversed(self._back(run)):
            yield row

    def runs(self) -> Sequence[str]:
        """Return the runs that have rows, in order."""
        with self._reading():
            return [row[0] for row in self._sql.execute("select run from head order by run")]

    def put(self, blob: bytes) -> str:
        """Keep bytes."""
        name = hashlib.sha256(blob).hexdigest()
        with self._writing():
            self._sql.execute("insert or ignore into blob values (?, ?)", (name, blob))
        return name

    def get(self, digest: str) -> bytes:
        """Return kept bytes."""
        with self._reading():
            found = self._sql.execute("select data from blob where hash = ?", (digest,)).fetchone()
        if found is None or hashlib.sha256(found[0]).hexdigest() != digest:
            msg = f"blob {digest[:12]} is not what was kept"
            raise DamagedError(msg)
        return bytes(found[0])

    def drop(self, run: str, before: int) -> None:
        """Remove the rows of a run below a number."""
        with self._writing():
            old = [(ident,) for ident, row in self._back(run) if row.seq < before]
            self._sql.execute("begin immediate")
            self._sql.executemany("delete from log where id = ?", old)
            self._sql.execute("commit")

    def close(self) -> None:
        """End; the file stays."""
        self._sql.close()

    def _look_again(self) -> None:
        """Forget what was known of the file if somebody else has written to it since."""
        (version,) = self._sql.execute("pragma data_version").fetchone()
        if version != self._version:
            self._heads.clear()
            (self._last,) = self._sql.execute("select coalesce(max(id), 0) from log").fetchone()
            self._version = version

    def _head(self, run: str) -> tuple[int, int]:
        """Return the last number of a run and the place of its row; zeros before the first."""
        found = self._sql.execute("select seq, last from head where run = ?", (run,)).fetchone()
        seq, last = found or (0, 0)
        if not (isinstance(seq, int) and isinstance(last, int)):  # a damaged file may have others
            raise DamagedError.at(run, 0, "its head is no number")
        return seq, last

    def _back(self, run: str) -> list[tuple[int, Row]]:
        """Return the rows of a run from its last one on, with their places."""
        query = "select before, run, seq, data, crc, hash from log where id = ?"
        found: list[tuple[int, Row]] = []
        with self._reading():
            seq, place = self._head(run)
            if seq and not self._sql.execute(query, (place,)).fetchone():
                raise DamagedError.at(run, seq, "it is missing")
            while line := self._sql.execute(query, (place,)).fetchone():
                before, *row = line
                found.append((place, Row(*row)))
                if not isinstance(before, int) or before >= place:
                    raise DamagedError.at(run, row[1], "its place is not after the one before it")
                place = before
        return found

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError as error:
            msg = f"{self._path} is closed: {error}"
            raise NotWrittenError(msg) from error
        except (sqlite3.Error, ValueError) as error:  # text that is none is a ValueError
            name = getattr(error, "sqlite_errorname", "")
            msg = f"{self._path}: {error}"
            if name.startswith(AWAY):
                raise UnavailableError(msg) from error
            raise DamagedError(msg) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "") or type(error).__name__
            rolled_back = self._roll_back()
            if rolled_back and (name in WHOLE or isinstance(error, sqlite3.ProgrammingError)):
                msg = f"{self._path}: {error} ({name}); nothing was written"
                raise NotWrittenError(msg) from error
            msg = f"{self._path}: {error} ({name}); what was being written may be there or not"
            raise DoubtError(msg) from error
        except ValueError as error:
            self._roll_back()
            msg = f"{self._path}: {error}"
            raise DamagedError(msg) from error
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> bool:
        """Say whether no transaction is open any more."""
        self._version = None
        try:
            if self._sql.in_transaction:
                self._sql.execute("rollback")
        except sqlite3.ProgrammingError:
            return True
        except sqlite3.Error:
            return False
        return True
