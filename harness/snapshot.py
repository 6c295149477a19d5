"""An older copy of an engine's store, and how it takes the store's place.

The store of a server is the runtime's folder: it is copied while the servers are stopped where
they stand, which is what a kill at that moment would leave, and put back while they are dead.
A library's are the SQLite files of a pool, in its folder if it has one, which the harness may have
open as well: they are read and written as SQLite does it, so that every open connection sees the
older content.  What else is there is no store: it stays as it is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from harness.process import Freezable, Service


MAGIC = b"SQLite format 3\0"
LOG = "client.log"
"""What a client child still writes to: it has the file open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A copy in ``copy`` of the store in ``store``; of one pool's files, or of all (``""``)."""

    store: Path
    copy: Path
    pool: str

    @classmethod
    def take(cls, store: Path, copy: Path, pool: str, servers: Sequence[Service]) -> Snapshot:
        """Copy the store: with servers all of it, else the files of the pool."""
        made = cls(store=store, copy=copy, pool="" if servers else pool)
        copy.mkdir(parents=True)
        if servers:
            with _frozen(servers):
                _tree(store, copy)
        else:
            made.each_database(store, copy)
        return made

    def empty(self) -> bool:
        """Say whether there was nothing to copy."""
        return not any(self.copy.iterdir())

    def restore(self) -> None:
        """Put the copy in the place of the store."""
        if self.pool:
            self.each_database(self.copy, self.store)
            return
        for path in sorted(self.store.rglob("*"), reverse=True):
            if not path.is_dir() and path.name != LOG:
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        _tree(self.copy, self.store)

    def each_database(self, source: Path, target: Path) -> None:
        """Copy the pool's SQLite files, wherever they are below a folder."""
        named = [*source.rglob(f"{self.pool}.*")]
        for file in [*named, *(inner for one in named for inner in one.rglob("*"))]:
            if file.is_file() and file.read_bytes()[: len(MAGIC)] == MAGIC:
                place = target / file.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                _copy(file, place)


@contextlib.contextmanager
def _frozen(servers: Sequence[Service]) -> Iterator[None]:
    with ExitStack() as stack:
        for server in servers:
            if isinstance(server, Freezable) and server.alive():
                server.pause()
                stack.callback(server.resume)
        yield


def _tree(source: Path, target: Path) -> None:
    """Copy a folder with its owners: a database starts on no data but its account's own."""
    shutil.copytree(source, target, ignore=_unfit, dirs_exist_ok=True)
    for path in target.rglob("*"):
        model = source / path.relative_to(target)
        if model.exists():
            status = model.stat()
            os.chown(path, status.st_uid, status.st_gid)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _unfit(folder: str, names: list[str]) -> list[str]:
    """Leave out what goes on, and what is no file, such as a socket."""
    paths = [Path(folder) / name for name in names]
    return [p.name for p in paths if p.name == LOG or not (p.is_dir() or p.is_file())]
