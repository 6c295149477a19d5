"""An older copy of a store takes its place, whoever has it open."""

from __future__ import annotations

import os
import sqlite3

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.process import Exit
from harness.snapshot import Snapshot


@dataclass(slots=True)
class Server:
    """A server that notes when it is frozen."""

    name: str = "engine"
    said: list[str] = field(default_factory=list)

    def pause(self) -> None:
        self.said.append("pause")

    def resume(self) -> None:
        self.said.append("resume")

    def alive(self) -> bool:
        return True

    def kill(self) -> Exit:
        raise NotImplementedError

    def restart(self) -> None:
        raise NotImplementedError

    def ready(self, deadline: Deadline) -> None:
        raise NotImplementedError


def database(path: Path) -> sqlite3.Connection:
    """Return an open database with a write-ahead log and one row."""
    sql = sqlite3.connect(path, isolation_level=None)
    sql.execute("pragma journal_mode=wal")
    sql.execute("create table facts (n integer)")
    sql.execute("insert into facts values (1)")
    return sql


def facts(sql: sqlite3.Connection) -> list[int]:
    """Return the rows."""
    return [n for (n,) in sql.execute("select n from facts order by n")]


def test_library(tmp_path: Path) -> None:
    """Of a library the pool's file goes back, under open connections; other pools' stay."""
    store = tmp_path / "store"
    (store / "inner").mkdir(parents=True)
    with (
        closing(database(store / "inner" / "mine.db")) as mine,
        closing(database(store / "inner" / "mine-b.db")) as other,
    ):
        taken = Snapshot.take(store, tmp_path / "copy", "mine", ())
        mine.execute("insert into facts values (2)")
        other.execute("insert into facts values (2)")
        assert not taken.empty()
        taken.restore()
        assert ([1], [1, 2]) == (facts(mine), facts(other))
        mine.execute("insert into facts values (3)")
        assert [1, 3] == facts(mine)


def test_server(tmp_path: Path) -> None:
    """Of a server the whole folder goes back, copied while it stands still."""
    store, server = tmp_path / "store", Server()
    (store / "deep").mkdir(parents=True)
    (store / "deep" / "000001.log").write_text("old")
    (store / "client.log").write_text("child")
    os.mkfifo(store / "socket")
    taken = Snapshot.take(store, tmp_path / "copy", "mine", [server])
    assert ["pause", "resume"] == server.said
    (store / "deep" / "000001.log").write_text("new")
    (store / "later").mkdir()
    (store / "later" / "file").write_text("new")
    (store / "client.log").write_text("child, later")
    taken.restore()
    assert "old" == (store / "deep" / "000001.log").read_text()
    assert "child, later" == (store / "client.log").read_text()
    assert not (store / "later" / "file").exists()


def test_nothing_to_copy(tmp_path: Path) -> None:
    """A runtime that keeps nothing in its folder has no store that could be put back."""
    (tmp_path / "store").mkdir()
    assert Snapshot.take(tmp_path / "store", tmp_path / "copy", "mine", ()).empty()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_owners(tmp_path: Path) -> None:
    """What belongs to an account of its own comes back as its own, folders too."""
    store = tmp_path / "store"
    (store / "data").mkdir(parents=True)
    (store / "data" / "base").write_text("rows")
    for path in (store / "data", store / "data" / "base"):
        os.chown(path, 12_345, 12_346)

    kept = Snapshot.take(store, tmp_path / "copy", "p", [Server()])
    (store / "data" / "base").unlink()
    kept.restore()

    for path in (store / "data", store / "data" / "base"):
        assert (12_345, 12_346) == (path.stat().st_uid, path.stat().st_gid)
