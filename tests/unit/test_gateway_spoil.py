"""Damage to a log whose writer was killed: what the next gateway finds, and a disk without room."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtimes.reference.effect_log.errors import DamagedError
from runtimes.reference.effect_log.folder import effect_log
from runtimes.reference.effect_log.records import Revoke
from runtimes.reference.gateway.spoil import WAL, LogFolder, SpoilError, last_commit


RUN = "r1"
CHILD = """
import asyncio, sys
from pathlib import Path
from runtimes.reference.effect_log.errors import EffectLogError
from runtimes.reference.effect_log.folder import effect_log
from runtimes.reference.effect_log.records import Lease, Revoke

async def main():
    with effect_log(Path(sys.argv[1]) / "log", "child") as log:
        run = log.open("r1")
        await run.append(Lease(epoch=1, holder="child", claim="c"))
        for line in sys.stdin:
            record = Revoke(capabilities=(line.strip(),), by="", why="")
            try:
                run = run if not run._dead else log.open("r1")
                print((await run.append(record)).seq, flush=True)
            except EffectLogError as error:
                print(type(error).__name__, flush=True)

asyncio.run(main())
"""


@contextmanager
def writer(folder: Path) -> Iterator[Callable[[str], str]]:
    """Lend a process that writes a record for each line; it is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin
        assert child.stdout
        stdin, stdout = child.stdin, child.stdout

        def write(text: str) -> str:
            stdin.write(f"{text}\n")
            stdin.flush()
            return stdout.readline().strip()

        write.pid = child.pid  # type: ignore[attr-defined]
        try:
            yield write
        finally:
            child.kill()


@pytest.fixture
def killed(tmp_path: Path) -> LogFolder:
    """Return the log of a writer that was killed after three acknowledged records."""
    with writer(tmp_path) as write:
        assert ["2", "3"] == [write(name) for name in "ab"]
    return LogFolder(tmp_path, lambda: 0)


def found(folder: Path) -> int:
    """Return how many records the next one finds."""
    with effect_log(folder / "log", "next") as log:
        return log.open(RUN).head.seq


@pytest.mark.parametrize("how", ["cut", "flip"])
def test_what_was_acknowledged_is_missed(how: str, killed: LogFolder) -> None:
    """SQLite itself says nothing of it; the head that is kept elsewhere does."""
    assert "last commit" in getattr(killed, how)()
    with pytest.raises(DamagedError, match=r"3 records were acknowledged, 2 are there"):
        found(killed.folder)


def test_what_nobody_was_told_of_is_cut_off(killed: LogFolder) -> None:
    """Half a commit at the end is no record, and the next one is written in its place."""
    size = (killed.folder / "log" / WAL).stat().st_size
    assert "nobody was told of" in killed.tear()
    assert size < (killed.folder / "log" / WAL).stat().st_size
    assert 3 == found(killed.folder)

    async def write() -> None:
        with effect_log(killed.folder / "log", "next") as log:
            await log.open(RUN).append(Revoke(capabilities=("c",), by="", why=""))

    asyncio.run(write())
    assert 4 == found(killed.folder)


def test_the_log_as_it_was_before_any_run(killed: LogFolder) -> None:
    """It is whole, and knows nothing: no damage to be seen."""
    other = killed.folder / "approvals.json"
    other.write_text(json.dumps({}))
    killed.wipe()
    assert 0 == found(killed.folder)
    assert other.exists()


def test_no_room_until_there_is(tmp_path: Path) -> None:
    """The kernel refuses each byte more, the log says so, and nothing of it is there later."""
    with writer(tmp_path) as write:
        kept = LogFolder(tmp_path, lambda: write.pid)  # type: ignore[attr-defined]
        assert "2" == write("a")
        before = resource.prlimit(kept.pid(), resource.RLIMIT_FSIZE)
        kept.fill()
        assert ["DoubtError"] * 2 == [write("b"), write("c")]
        kept.empty()
        assert before == resource.prlimit(kept.pid(), resource.RLIMIT_FSIZE)
        assert "3" == write("d")
    assert 3 == found(tmp_path)


@pytest.mark.parametrize("wal", [b"", b"\0" * 31, b"\0" * 32])
def test_what_is_no_log_is_left_alone(wal: bytes) -> None:
    """Nothing is guessed of a file without a commit."""
    with pytest.raises(SpoilError, match="expected a"):
        last_commit(wal)
