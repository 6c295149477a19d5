"""PostgreSQL and Redis as servers of a sweep: killed for real, and what they acknowledged is kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.deadline import Deadline, wait_until
from harness.loop import Loop
from harness.process import Process, ProcessError, WorkerSpec
from harness.runtime import RuntimeUnavailableError
from harness.site import LocalSite, Lot, sites_folder, sweep
from runners.local import LocalRunner
from runtimes.support.account import account
from runtimes.support.postgres import DEBIAN, Postgres, postgres
from runtimes.support.redis import Redis, redis


pytestmark = pytest.mark.engine
PATIENCE_S = 60.0
needs_postgres = pytest.mark.skipif(
    not (DEBIAN / "postgres").is_file() and shutil.which("postgres") is None,
    reason="no PostgreSQL on this machine: apt-get install postgresql-15",
)
needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None,
    reason="no redis-server on this machine: apt-get install redis-server",
)
ENDLESS = "DO $$ BEGIN LOOP END LOOP; END $$"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give this test sites of its own, where another user may go and paths are short."""
    with tempfile.TemporaryDirectory(prefix="bo-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield folder


@pytest.fixture
def lot() -> Iterator[Lot]:
    """Return a site's part, with a runner."""
    with Loop() as loop, LocalSite(loop) as site:
        runner = LocalRunner(site.folder / "logs", site.environment)
        try:
            yield Lot(site, "test", runner)
        finally:
            runner.close()


@pytest.fixture
def database(lot: Lot) -> Iterator[Postgres]:
    """Return a PostgreSQL that serves."""
    with postgres(lot) as started:
        started.ready(Deadline.after(PATIENCE_S))
        yield started


@pytest.fixture
def store(lot: Lot) -> Iterator[Redis]:
    """Return a Redis that serves."""
    with redis(lot) as started:
        started.ready(Deadline.after(PATIENCE_S))
        yield started


def busy(lot: Lot, database: Postgres) -> Process:
    """Return a client whose backend works for ever, and does not look up when all else dies."""
    argv = ["psql", "-X", database.socket_url(), "-c", ENDLESS]
    client = lot.runner.start("busy", WorkerSpec(argv=argv, ready=False))
    active = "select count(*) from pg_stat_activity where state = 'active' and query like 'DO%'"
    wait_until(lambda: database.sql(active) == "1", Deadline.after(PATIENCE_S), "it is busy")
    return client


@needs_postgres
@pytest.mark.parametrize("by", ["us", "another"])
def test_a_killed_postgres_comes_back_with_its_data(lot: Lot, database: Postgres, by: str) -> None:
    """Rows that were committed are there, on the same port, whoever killed the postmaster.

    A backend that is busy outlives the postmaster, and a new one refuses to start beside it.
    """
    database.create("mine")
    database.sql("create table t (n int); insert into t values (7)", "mine")
    busy(lot, database)
    if by == "us":
        assert signal.SIGKILL == os.WTERMSIG(database.kill().status)
        assert [] == database._strays()
    else:
        os.kill(database.server.process.pid, signal.SIGKILL)
        wait_until(lambda: not database.alive(), Deadline.after(PATIENCE_S), "it is dead")
        assert [] != database._strays()
    address = database.address

    database.restart()
    database.ready(Deadline.after(PATIENCE_S))

    assert "7" == database.sql("select n from t", "mine")
    assert address == database.address


@needs_postgres
def test_postgres_is_as_engines_want_it(database: Postgres) -> None:
    """It syncs, thinks in UTC, takes many connections, and lets nobody in without the password."""
    shown = [database.sql(f"show {name}") for name in ("fsync", "timezone", "max_connections")]
    assert ["on", "UTC", "400"] == shown
    ask = ["psql", "-XAtc", "select current_user"]
    told = subprocess.run([*ask, database.url()], capture_output=True, text=True, check=True)
    assert "bakeoff\n" == told.stdout
    wrong = database.url().replace(database.password, "wrong")
    refused = subprocess.run([*ask, wrong], capture_output=True, text=True, check=False)
    assert "password authentication failed" in refused.stderr


@needs_postgres
def test_a_refused_statement_is_an_error(database: Postgres) -> None:
    """The error carries what the server said."""
    with pytest.raises(ProcessError, match='relation "nowhere" does not exist'):
        database.sql("select * from nowhere")


@needs_postgres
def test_postgres_ends_although_clients_are_connected(lot: Lot) -> None:
    """Leaving it waits for no client, and leaves no process of it."""
    with postgres(lot) as database:
        database.ready(Deadline.after(PATIENCE_S))
        busy(lot, database)
    assert not database.alive()
    assert [] == database._strays()


def talk(store: Redis, *commands: str) -> list[str]:
    """Say commands to Redis and return the first line of each answer."""
    with socket.create_connection((store.address.host, store.address.port), 5.0) as peer:
        answers = peer.makefile("r", newline="\r\n")
        said = []
        for command in commands:
            peer.sendall(f"{command}\r\n".encode())
            line = answers.readline().strip()
            said.append(answers.readline().strip() if line.startswith("$") else line)
        return said


@needs_redis
def test_a_killed_redis_comes_back_with_its_data(store: Redis) -> None:
    """What it acknowledged is there after SIGKILL, and it still asks for the password."""
    login = f"AUTH {store.password}"
    assert ["+OK", "+OK"] == talk(store, login, "SET key value")
    assert signal.SIGKILL == os.WTERMSIG(store.kill().status)

    store.restart()
    store.ready(Deadline.after(PATIENCE_S))

    assert ["+OK", "value"] == talk(store, login, "GET key")
    assert "-NOAUTH" == talk(store, "GET key")[0].split()[0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root must give up rights")
def test_neither_runs_as_root(lot: Lot) -> None:
    """Root starts them as users without rights."""
    with postgres(lot) as database, redis(lot) as store:
        for server in (database, store):
            server.ready(Deadline.after(PATIENCE_S))
            pid = server.server.process.pid
            assert 0 != Path(f"/proc/{pid}").stat().st_uid


@pytest.mark.skipif(os.getuid() != 0, reason="only root must give up rights")
def test_a_folder_that_the_user_cannot_reach_is_named(home: Path, lot: Lot) -> None:
    """The error says which folder is closed, and two ways out."""
    home.chmod(0o700)
    with pytest.raises(RuntimeUnavailableError, match=f"chmod o[+]x {home}; or set TMPDIR"):
        account("postgres").own(lot.state_dir("postgres"))


@pytest.mark.parametrize("make", [postgres, redis])
def test_a_missing_server_is_not_measured(
    lot: Lot, monkeypatch: pytest.MonkeyPatch, make: type
) -> None:
    """The reason names the command that changes it."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("runtimes.support.postgres.DEBIAN", Path("/nowhere"))
    with pytest.raises(RuntimeUnavailableError, match="run: apt-get install"), make(lot):
        pass


HARNESS = """
import json, sys
from harness.deadline import Deadline, wait_until
from harness.loop import Loop
from harness.process import WorkerSpec
from harness.site import LocalSite, Lot
from runners.local import LocalRunner
from runtimes.support.confine import confined
from runtimes.support.postgres import postgres
from runtimes.support.redis import redis

with Loop() as loop, LocalSite(loop) as site:
    runner = LocalRunner(site.folder / "logs", site.environment)
    lot = Lot(site, "test", runner)
    with confined(lot, "place") as place, postgres(lot) as database, redis(lot) as store:
        for server in (database, store):
            server.ready(Deadline.after(60))
        client = ["psql", "-X", "-h", str(database.sockets), "-p", str(database.address.port)]
        client += ["-U", "bakeoff", "-d", "postgres", "-c", "select pg_sleep(600)"]
        runner.start("inside", WorkerSpec(argv=place.argv(client), ready=False))
        asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        wait_until(lambda: database.sql(asleep) == "1", Deadline.after(60), "it sleeps")
        print(json.dumps(site.name), flush=True)
        sys.stdin.read()
"""


def of_site(folder: Path) -> list[str]:
    """Return the processes that name the site in their command or work in its folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            if str(folder).encode() in command or folder in (entry / "cwd").readlink().parents:
                found.append(f"{entry.name} {command!r}")
        except OSError:
            continue  # it ended meanwhile
    return found


@needs_postgres
@needs_redis
def test_a_sweep_leaves_nothing_of_them(home: Path) -> None:
    """A harness that dies leaves databases and a network behind; the next one ends them all."""
    with subprocess.Popen(
        [sys.executable, "-c", HARNESS],
        env={**os.environ, "TMPDIR": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        folder = sites_folder() / json.loads(process.stdout.readline())
        process.kill()
    left = " ".join(of_site(folder))
    expected = ("redis-server", "checkpointer", "psql", "SELECT")
    assert [] == [name for name in expected if name not in left]

    sweep()

    wait_until(lambda: not of_site(folder), Deadline.after(PATIENCE_S), "all are gone")
    assert not folder.exists()
