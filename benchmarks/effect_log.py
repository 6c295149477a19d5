"""What an effect costs at the log: intent and completion, against raw append and fdatasync.

Rounds of both alternate in the same folder, so that a noisy machine hits both; a figure is the
ratio of a round to the raw one beside it, with its spread.  With more runs at once a commit is
shared, and the ratio is per effect.  So is that of the store alone, which is given rows that are
sealed already: no log over it can cost less.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import statistics
import sys
import tempfile
import time
import zlib

from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

from harness.effects import Effect, Tier
from runtimes.reference.collector import seldom
from runtimes.reference.effect_log.anchor import FileAnchor
from runtimes.reference.effect_log.chain import SEED, Row, genesis, seal
from runtimes.reference.effect_log.folder import effect_log
from runtimes.reference.effect_log.log import RunLog
from runtimes.reference.effect_log.records import Completion, Entry, Intent, Lease, Outcome
from runtimes.reference.effect_log.sqlite import SqliteStore


ROUNDS, EFFECTS = 20, 60
WIDTHS = (1, 16, 64)
HASH = hashlib.sha256(b"x").hexdigest()


def pair(number: int) -> tuple[Intent, Completion]:
    """Return the records of one effect, as large as real ones."""
    slot, effect_id = f"step-{number}", f"{number:032x}"
    intent = Intent(
        slot=slot,
        effect_id=effect_id,
        attempt=1,
        op="dns.update",
        effect=Effect.HYBRID,
        tier=Tier.V,
        target="zone:example.com/app",
        fingerprint=HASH,
        request_hash=HASH,
        request={"name": "app.example.com", "type": "A", "value": "192.0.2.7", "ttl": 300},
        deadline_ms=1_700_000_000_000,
    )
    completion = Completion(
        slot=slot,
        effect_id=effect_id,
        attempt=1,
        outcome=Outcome.OK,
        request_hash=HASH,
        response_hash=HASH,
        response={"serial": number, "status": "NOERROR"},
        version_after=f"v{number}",
    )
    return intent, completion


def size() -> int:
    """Return the bytes of such an intent in its place."""
    intent, _ = pair(1)
    entry = Entry(run="r", seq=1, epoch=1, actor="g", wall_ms=1, mono_ns=1, record=intent)
    return len(entry.text())


def raw(path: Path, times: int, data: bytes) -> float:
    """Return the seconds that one append with its sync takes."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    began_s = time.perf_counter()
    for _ in range(times):
        os.write(file, data)
        os.fdatasync(file)
    took_s = time.perf_counter() - began_s
    os.close(file)
    return took_s / times


async def effects(runs: list[RunLog], first: int) -> float:
    """Return the seconds that one effect takes with so many runs at once."""

    async def one(run: RunLog) -> None:
        for number in range(first, first + EFFECTS):
            for record in pair(number):
                await run.append(record)

    began_s = time.perf_counter()
    await asyncio.gather(*(one(run) for run in runs))
    return (time.perf_counter() - began_s) / (EFFECTS * len(runs))


def alone(store: SqliteStore, width: int, first: int) -> float:
    """Return the seconds that the store takes for one effect with so many runs at once."""
    data, seqs = b"x" * size(), range(2 * first + 1, 2 * (first + EFFECTS) + 1)
    commits = [[Row(f"r{run}", seq, data, 0, data[:32]) for run in range(width)] for seq in seqs]
    began_s = time.perf_counter()
    for rows in commits:
        store.append(rows)
    return (time.perf_counter() - began_s) / (EFFECTS * width)


def compare(folder: Path, width: int) -> None:
    """Print the ratio of an effect to a raw append, for ``width`` runs at once."""
    data, ratios, raws, stores = b"x" * size(), [], [], []
    with (
        effect_log(folder / f"log-{width}", "bench") as log,
        closing(SqliteStore(folder / f"store-{width}")) as store,
    ):
        runs = [log.open(f"r{number}") for number in range(width)]
        with asyncio.Runner() as runner:

            async def lease() -> None:
                for run in runs:
                    await run.append(Lease(epoch=1, holder="bench", claim="c"))

            runner.run(lease())
            rounds = ROUNDS if width == 1 else ROUNDS // 4
            for number in range(rounds):
                raw_s = raw(folder / "raw", EFFECTS, data)
                ours_s = runner.run(effects(runs, number * EFFECTS))
                raw_s = (raw_s + raw(folder / "raw", EFFECTS, data)) / 2
                ratios.append(ours_s / raw_s)
                stores.append(alone(store, width, number * EFFECTS) / raw_s)
                raws.append(raw_s)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"{width:3} runs at once: an effect is {middle:.2f} raw appends "
        f"(quartiles {low:.2f} to {high:.2f}, {len(ratios)} rounds), "
        f"{statistics.median(stores):.2f} at its store alone; "
        f"raw {statistics.median(raws) * 1e6:.0f} us"
    )


def part(name: str, work: Callable[[], object], times: int = 2_000) -> None:
    """Print what a part costs by itself."""
    began_s = time.perf_counter()
    for _ in range(times):
        work()
    print(f"  {name}: {(time.perf_counter() - began_s) / times * 1e6:.1f} us a record")


def main() -> None:
    """Print the ratios, and where the time goes."""
    seldom()  # as the processes that have a log do
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {sys.platform}, {size()} bytes")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        for width in WIDTHS:
            compare(Path(name), width)
        parts(Path(name))


def parts(folder: Path) -> None:
    """Print what a record costs beside the sync, part by part."""
    intent, _ = pair(1)
    entry = Entry(run="r", seq=1, epoch=1, actor="g", wall_ms=1, mono_ns=1, record=intent)
    data, prev = entry.text(), genesis("r")
    print("where the time goes, beside the sync:")
    part("encode", entry.text)
    part("checksum", lambda: zlib.crc32(data, SEED))
    part("chain", lambda: hashlib.sha256(prev + data).digest())
    row = seal("r", 1, data, prev)
    with closing(FileAnchor(folder / "heads")) as anchor:
        part("anchor", lambda: anchor.note([row]))
    seqs = count(1)
    with closing(SqliteStore(folder / "unsynced")) as store:
        store._sql.execute("pragma synchronous = off")  # noqa: SLF001 - what it costs beside the sync
        part(
            "SQLite, each record a commit",
            lambda: store.append([Row("r", next(seqs), data, row.crc, row.hash)]),
        )


if __name__ == "__main__":
    main()
