"""Where a log is: a folder with a SQLite file or the address of a PostgreSQL, and the heads beside.

Many gateways may share a PostgreSQL.  Each has a folder of its own, with the heads that it knows.
"""

from __future__ import annotations

import os

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from runtimes.reference.effect_log.anchor import FileAnchor, Heads, ReadAnchor, heads
from runtimes.reference.effect_log.errors import DamagedError
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.effect_log.sqlite import SqliteStore
from runtimes.reference.effect_log.store import Store


LOG, HEADS = "effects.sqlite", "heads"
ELSEWHERE = "effects.postgresql"
"""A file with the address of the database that has the records."""


def has_log(folder: Path) -> bool:
    """Say whether a folder has a log, or the address of one."""
    return (folder / LOG).is_file() or (folder / ELSEWHERE).is_file()


def keep_elsewhere(folder: Path, address: str) -> None:
    """Have the log of a folder kept in a PostgreSQL, from now on.

    Raises:
        ValueError: it is kept elsewhere already, or the address has a password.

    """
    from psycopg import ProgrammingError  # noqa: PLC0415 - who has no PostgreSQL needs none
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    place = folder / ELSEWHERE
    kept = place.read_text(encoding="utf-8").strip() if place.exists() else ""
    if kept == address:
        return
    if kept or (folder / LOG).exists():
        msg = f"expected the log of {folder} where it is; choose another folder"
        raise ValueError(msg)
    try:
        parts = conninfo_to_dict(address)
    except ProgrammingError:
        parts = {}
    # What is no address is not said again: there may be a password in it.
    if not parts.get("host") or not str(parts.get("port", "1")).replace(",", "").isdigit():
        msg = "expected the address of a PostgreSQL: postgresql://user@host:port/name"
        raise ValueError(msg)
    if parts.keys() & {"password", "sslpassword"}:
        msg = "expected an address without a password, which would stand in a file; use PGPASSFILE"
        raise ValueError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / HEADS).touch(mode=0o600)
    fresh = place.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(address)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(place)


def _stored(folder: Path, *, only_read: bool = False) -> Store:
    place = folder / ELSEWHERE
    if place.exists():
        from runtimes.reference.effect_log.postgres import PostgresStore  # noqa: PLC0415 - the same

        return PostgresStore(place.read_text(encoding="utf-8").strip())
    return SqliteStore(folder / LOG, only_read=only_read)


@contextmanager
def reading(folder: Path) -> Iterator[tuple[Store, Heads]]:
    """Lend the log of a folder to who only reads, whoever writes it meanwhile.

    Raises:
        DamagedError: there is none, it cannot be read, or its heads are gone.
        VersionError: another version wrote it.

    """
    for there, name in ((has_log(folder), LOG), ((folder / HEADS).exists(), HEADS)):
        if not there:
            msg = f"{folder} has no {name}"
            raise DamagedError(msg)
    with closing(_stored(folder, only_read=True)) as store:
        yield store, ReadAnchor(heads(folder / HEADS))


@contextmanager
def effect_log(folder: Path, actor: str) -> Iterator[EffectLog]:
    """Lend the log of a folder to its one writer; it is made where there is none.

    Raises:
        DamagedError: the log cannot be read, or its heads are gone.
        VersionError: another version wrote it.
        NotWrittenError: it cannot be made.

    """
    folder.mkdir(parents=True, exist_ok=True)
    with closing(_stored(folder)) as store:
        if store.runs() and not (folder / HEADS).exists():
            msg = f"{folder / HEADS} is gone, so that nobody can tell whether the log is whole"
            raise DamagedError(msg)
        with closing(EffectLog(store, FileAnchor(folder / HEADS), actor)) as log:
            yield log
