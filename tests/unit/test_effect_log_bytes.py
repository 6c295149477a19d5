"""Damage byte by byte: what was acknowledged is there as it was, or it is said that it is not.

All bytes in a campaign, a sample otherwise.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import subprocess
import sys

from pathlib import Path

import pytest

from support.campaign import CAMPAIGN
from support.effects import story

from runtimes.reference.effect_log.errors import DamagedError, UnavailableError, VersionError
from runtimes.reference.effect_log.folder import HEADS, LOG, effect_log
from runtimes.reference.effect_log.records import Record


SEED = 11
SAMPLE = 400
WAL = f"{LOG}-wal"
RUNS = ("r1", "r2")
CHILD = """
import asyncio, sys
from pathlib import Path
from runtimes.reference.effect_log.folder import effect_log
from runtimes.reference.effect_log.records import Lease, Revoke

async def main():
    with effect_log(Path(sys.argv[1]), "child") as log:
        run = log.open("r1")
        if not run.facts.epoch:
            await run.append(Lease(epoch=1, holder="child", claim="c"))
        while True:
            receipt = await run.append(Revoke(capabilities=(f"c{run.head.seq}",), by="", why=""))
            print(f'{{"seq": {receipt.seq}, "hash": "{receipt.hash}"}}', flush=True)

asyncio.run(main())
"""


def offsets(size: int) -> list[int]:
    """Return where to damage a file: everywhere, or in a seeded sample of places."""
    if CAMPAIGN or size <= SAMPLE:
        return [*range(size)]
    return sorted(random.Random(SEED).sample(range(size), SAMPLE))  # noqa: S311 - no secret


def fill(folder: Path) -> None:
    """Write the same records to two runs, each acknowledged."""

    async def each() -> None:
        with effect_log(folder, "g") as log:
            for run in [log.open(name) for name in RUNS]:
                for record in story():
                    await run.append(record)
            # As a killed writer leaves it: the rows are in the file that is written ahead.
            for name in (LOG, WAL, HEADS):
                shutil.copy(folder / name, folder.with_name("open") / name)

    folder.with_name("open").mkdir()
    asyncio.run(each())


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Lend a log that was closed, and one whose writer was killed."""
    folder = tmp_path_factory.mktemp("bytes")
    fill(folder / "closed")
    return {"closed": folder / "closed", "open": folder / "open"}


def found(folder: Path) -> dict[str, list[Record]] | None:
    """Return the records of each run; None where it is said that it cannot be believed."""
    from runtimes.reference.effect_log.reading import entries  # noqa: PLC0415 - its only use

    try:
        with effect_log(folder, "g") as log:
            for run in RUNS:
                log.open(run)
            return {run: [entry.record for entry, _ in entries(log.store, run)] for run in RUNS}
    except (DamagedError, UnavailableError, VersionError):
        return None


def damaged(
    source: Path, folder: Path, name: str, content: bytes
) -> dict[str, list[Record]] | None:
    """Return what is found in a copy of a log in which one file has another content."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    (folder / name).write_bytes(content)
    return found(folder)


def test_the_logs_are_whole(logs: dict[str, Path], tmp_path: Path) -> None:
    """Undamaged, both have everything: else the tests below show nothing."""
    for name, source in logs.items():
        shutil.copytree(source, tmp_path / name)
        assert dict.fromkeys(RUNS, story()) == found(tmp_path / name)
    assert (logs["open"] / WAL).stat().st_size > (logs["open"] / LOG).stat().st_size


@pytest.mark.parametrize(("kind", "name"), [("closed", LOG), ("open", WAL)])
def test_a_flipped_byte(logs: dict[str, Path], tmp_path: Path, kind: str, name: str) -> None:
    """It is seen, or it does not matter: never another record, never one less."""
    whole = (logs[kind] / name).read_bytes()
    seen = []
    for at in offsets(len(whole)):
        content = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        told = damaged(logs[kind], tmp_path / "log", name, content)
        assert told in (None, dict.fromkeys(RUNS, story())), f"byte {at} of {name}"
        seen.append(told is None)
    assert True in seen


@pytest.mark.parametrize(("kind", "name"), [("closed", LOG), ("open", WAL)])
def test_a_cut_file(logs: dict[str, Path], tmp_path: Path, kind: str, name: str) -> None:
    """Whatever is missing was acknowledged: nothing less than everything is believed."""
    whole = (logs[kind] / name).read_bytes()
    for size in offsets(len(whole)):
        told = damaged(logs[kind], tmp_path / "log", name, whole[:size])
        assert told in (None, dict.fromkeys(RUNS, story())), f"{size} bytes of {name}"
    assert damaged(logs[kind], tmp_path / "log", name, whole[: len(whole) // 2]) is None


def test_a_torn_tail_is_a_prefix(logs: dict[str, Path], tmp_path: Path) -> None:
    """What was never acknowledged may be lost, from its end on, and also in zeros."""
    whole = (logs["open"] / WAL).read_bytes()
    lengths = set()
    for size in [*offsets(len(whole)), len(whole)]:
        for content in (whole[:size], whole[:size] + bytes(len(whole) - size)):
            source = tmp_path / "source"
            shutil.rmtree(source, ignore_errors=True)
            shutil.copytree(logs["open"], source)
            (source / HEADS).write_bytes(b"")
            told = damaged(source, tmp_path / "log", WAL, content)
            assert told is not None, size
            assert all(records == story()[: len(records)] for records in told.values()), size
            assert not told["r2"] or told["r1"] == story()
            lengths.add(sum(len(records) for records in told.values()))
    assert {0, 2 * len(story())} <= lengths
    assert len(lengths) > len(story()) / 2


def test_what_a_killed_writer_acknowledged_is_there(tmp_path: Path) -> None:
    """SIGKILL while it writes, ten times over: each receipt still holds."""
    receipts = []
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout
            lines = [child.stdout.readline() for _ in range(20)]
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.read().splitlines()
        receipts += [json.loads(line) for line in lines if line.strip().endswith("}")]
        with effect_log(tmp_path, "g") as log:
            rows = {row.seq: row.hash.hex() for row in log.store.rows("r1")}
            assert log.open("r1").head.seq == max(rows)
        assert [] == [one for one in receipts if rows.get(one["seq"]) != one["hash"]]
    assert len(receipts) >= 200
