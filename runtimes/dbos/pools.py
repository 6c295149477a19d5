"""Where the databases of pools are: files beside the workers, or databases of one PostgreSQL.

Each pool has one of its own, so that no lock and no run of one pool reaches another.  It is a
copy of a migrated template: a client may enqueue before the first worker has started, and a
client never migrates.
"""

from __future__ import annotations

import shutil

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.process import Service
from runtimes.support.postgres import Postgres


class Pools(Protocol):
    """The databases of one backend.

    ``shared``: several executors may work on one at the same time.
    """

    @property
    def databases(self) -> Sequence[Service]: ...
    @property
    def shared(self) -> bool: ...
    def url(self, name: str) -> str: ...
    def copy(self, template: str, name: str) -> None: ...
    def drop(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Files:
    """SQLite files in a folder: one executor each, and its successors under the same id."""

    folder: Path
    databases: Sequence[Service] = ()
    shared: bool = False

    def url(self, name: str) -> str:
        """Return how DBOS names a file."""
        return f"sqlite:///{self.folder / name}.sqlite"

    def copy(self, template: str, name: str) -> None:
        """Make a file that is complete from the moment that it is there."""
        draft = self.folder / f"{name}.draft"
        shutil.copyfile(self.folder / f"{template}.sqlite", draft)
        draft.rename(self.folder / f"{name}.sqlite")

    def drop(self, name: str) -> None:
        """Delete a file, with its journal."""
        for file in self.folder.glob(f"{name}.sqlite*"):
            file.unlink()


@dataclass(frozen=True, slots=True)
class Databases:
    """Databases of a PostgreSQL: each worker is an executor of its own there."""

    server: Postgres
    shared: bool = True

    @property
    def databases(self) -> Sequence[Service]:
        """Return the one server."""
        return (self.server,)

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return self.server.url(name).replace("postgres://", "postgresql://", 1)

    def copy(self, template: str, name: str) -> None:
        """Make a database, which takes some 0.1 s."""
        self.server.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        self.server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
