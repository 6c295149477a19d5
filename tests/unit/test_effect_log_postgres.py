"""The log in PostgreSQL: as the embedded one, and two gateways may meet at it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from support.effects import LEASE, intent, read, story

from harness.deadline import Deadline
from harness.loop import Loop
from harness.site import LocalSite, Lot
from runners.local import LocalRunner
from runtimes.reference.effect_log import postgres as postgres_store
from runtimes.reference.effect_log.anchor import FileAnchor
from runtimes.reference.effect_log.chain import Row
from runtimes.reference.effect_log.errors import (
    DamagedError,
    FencedError,
    NotWrittenError,
    UnavailableError,
    VersionError,
)
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.effect_log.postgres import PostgresStore
from runtimes.reference.effect_log.reading import entries
from runtimes.reference.effect_log.records import Lease
from runtimes.support.postgres import DEBIAN, Postgres, postgres


pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("effect-log-postgres"),
    pytest.mark.skipif(
        not (DEBIAN / "postgres").is_file() and shutil.which("postgres") is None,
        reason="no PostgreSQL on this machine: apt-get install postgresql-15",
    ),
]
PATIENCE_S = 60.0
END = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bakeoff'"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Lend a PostgreSQL that does not sync: nobody cuts its power."""
    with tempfile.TemporaryDirectory(prefix="bo-", dir="/tmp") as name, Loop() as loop:
        Path(name).chmod(0o711)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", name)
            with LocalSite(loop) as site:
                runner = LocalRunner(site.folder / "logs", site.environment)
                with closing(runner), postgres(Lot(site, "test", runner), durable=False) as one:
                    one.ready(Deadline.after(PATIENCE_S))
                    yield one


@pytest.fixture
def dsn(server: Postgres) -> Iterator[str]:
    """Lend a database without a log."""
    yield server.url("postgres")
    with psycopg.connect(server.url("postgres"), autocommit=True) as db:
        db.execute("drop schema if exists bakeoff cascade")


def gateway(dsn: str, heads: Path, name: str) -> EffectLog:
    """Return the log as one gateway has it."""
    return EffectLog(PostgresStore(dsn, careless=True), FileAnchor(heads / name), name)


def test_it_keeps_what_the_embedded_one_keeps(dsn: str, tmp_path: Path) -> None:
    """In order, verified, with blobs, also for who comes later."""

    async def all_(log: EffectLog) -> None:
        for record in story():
            await log.open("r1").append(record)

    with closing(gateway(dsn, tmp_path, "g1")) as log:
        asyncio.run(all_(log))
        name = log.store.put(b"long")
    with closing(gateway(dsn, tmp_path, "g1")) as log:
        assert story() == [entry.record for entry, _ in entries(log.store, "r1")]
        assert ["r1"] == log.store.runs()
        assert b"long" == log.store.get(name)
        assert log.open("r1").facts.terminal
        asyncio.run(log.open("r1").compact())
        assert 1 == len([*log.store.rows("r1")])
        assert log.open("r1").facts.terminal


def test_two_gateways_one_holder(dsn: str, tmp_path: Path) -> None:
    """Both take the run at once: one gets it, the other is fenced and has written nothing."""
    with closing(gateway(dsn, tmp_path, "g1")) as one, closing(gateway(dsn, tmp_path, "g2")) as two:
        first, second = one.open("r1"), two.open("r1")

        async def all_() -> None:
            await first.append(LEASE)
            with pytest.raises(FencedError):
                await second.append(Lease(epoch=1, holder="g2", claim="c2"))
            successor = two.open("r1")
            await successor.append(Lease(epoch=2, holder="g2", claim="c2"))
            with pytest.raises(FencedError):
                await first.append(intent("notify"))
            await successor.append(read("zone"))

        asyncio.run(all_())
        assert {} == two.open("r1").facts.effects


def test_a_frozen_writer_keeps_nobody_else_from_writing(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stands in the middle of a write is waited for until a timeout, and not for ever."""
    monkeypatch.setattr(postgres_store, "PATIENCE_S", 1)
    with closing(gateway(dsn, tmp_path, "g1")) as log, psycopg.connect(dsn) as frozen:
        run = log.open("r1")
        asyncio.run(run.append(LEASE))
        row = frozen.execute("insert into bakeoff.log values ('r1', 2, 'x', 0, 'x')")
        assert 1 == row.rowcount
        with pytest.raises(NotWrittenError, match="timeout"):
            asyncio.run(run.append(read("zone")))
        frozen.rollback()
        asyncio.run(log.open("r1").append(read("zone")))
        assert 2 == log.open("r1").head.seq


def test_damage_is_seen(dsn: str, tmp_path: Path) -> None:
    """A changed record, and one that is gone from the end."""

    async def all_(log: EffectLog) -> None:
        for record in story():
            await log.open("r1").append(record)

    with closing(gateway(dsn, tmp_path, "g1")) as log, psycopg.connect(dsn, autocommit=True) as db:
        asyncio.run(all_(log))
        db.execute("delete from bakeoff.log where seq = 13")
        with pytest.raises(DamagedError, match="13 records were acknowledged, 12 are there"):
            log.open("r1")
        db.execute("update bakeoff.log set data = 'x' where seq = 2")
        with pytest.raises(DamagedError, match="record 2 of run r1"):
            log.open("r1")
        with pytest.raises(FencedError, match="has no record 20"):
            log.store.append([Row("r1", 21, b"x", 0, b"x")])
        db.execute("drop table bakeoff.log")
        with pytest.raises(DamagedError, match="cannot be read"):
            log.open("r1")
        db.execute(END)
        with pytest.raises(UnavailableError, match="cannot be read"):
            log.open("r1")


def test_a_lost_connection_has_written_nothing_and_comes_back(dsn: str, tmp_path: Path) -> None:
    """The next record is written over a new one."""
    with closing(gateway(dsn, tmp_path, "g1")) as log, psycopg.connect(dsn, autocommit=True) as db:
        run = log.open("r1")

        async def all_() -> None:
            await run.append(LEASE)
            db.execute(END)
            with pytest.raises(NotWrittenError, match="nothing was written"):
                await run.append(read("zone"))
            await run.append(read("zone"))

        asyncio.run(all_())
        assert 2 == log.open("r1").head.seq


def test_a_server_that_may_forget_is_refused(dsn: str) -> None:
    """Unless one says that it does not matter; another version always is."""
    with pytest.raises(NotWrittenError, match="fsync off"):
        PostgresStore(dsn)
    PostgresStore(dsn, careless=True).close()
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("update bakeoff.format set version = 9")
    with pytest.raises(VersionError, match=r"version \[9\]; this is for version 1"):
        PostgresStore(dsn, careless=True)


def test_nobody_answers() -> None:
    """It is said, and nothing was written."""
    with pytest.raises(NotWrittenError, match="nothing was written"):
        PostgresStore("postgresql://127.0.0.1:1/none")
