"""The log: what was acknowledged is there, in one order, and nobody writes who does not hold it."""

from __future__ import annotations

import asyncio
import sqlite3

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from support.effects import LEASE, completion, intent, read, resolution, story

from runtimes.reference.effect_log import anchor as anchors
from runtimes.reference.effect_log import sqlite
from runtimes.reference.effect_log.anchor import FileAnchor, ReadAnchor, heads
from runtimes.reference.effect_log.canonical import CanonicalError
from runtimes.reference.effect_log.chain import Row
from runtimes.reference.effect_log.errors import (
    ConflictError,
    ContradictionError,
    DamagedError,
    DoubtError,
    EffectLogError,
    FencedError,
    NotWrittenError,
    UnavailableError,
    VersionError,
)
from runtimes.reference.effect_log.folder import HEADS, LOG, effect_log
from runtimes.reference.effect_log.log import EffectLog, RunLog
from runtimes.reference.effect_log.reading import entries, recover
from runtimes.reference.effect_log.records import (
    Decision,
    Lease,
    Record,
    Summary,
    Terminal,
    Verdict,
)
from runtimes.reference.effect_log.sqlite import SqliteStore


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EffectLog]:
    """Lend the log of a folder."""
    with effect_log(tmp_path / "log", "gateway-1") as lent:
        yield lent


def write(run: RunLog, records: Sequence[Record]) -> None:
    """Write records one by one."""

    async def all_() -> None:
        for record in records:
            await run.append(record)

    asyncio.run(all_())


def said(store: SqliteStore, run: str) -> list[Record]:
    """Return what the log has of a run."""
    return [entry.record for entry, _ in entries(store, run)]


class Failing:
    """A store whose next appends fail as they are told to."""

    def __init__(self, store: SqliteStore, *errors: EffectLogError | None) -> None:
        self.store, self.errors = store, [*errors]

    def append(self, rows: Sequence[Row]) -> None:
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error
        self.store.append(rows)

    def __getattr__(self, name: str) -> Callable[..., object]:
        return getattr(self.store, name)  # type: ignore[no-any-return]


def test_what_was_acknowledged_is_there(log: EffectLog, tmp_path: Path) -> None:
    """In order, with the facts that it makes, also for who opens the file later."""
    run = log.open("r1")
    write(run, story())
    assert story() == said(log.store, "r1")  # type: ignore[arg-type]
    again = log.open("r1")
    assert (run.facts, run.head) == (again.facts, again.head)
    log.close()
    with effect_log(tmp_path / "log", "gateway-2") as other:
        assert run.facts == other.open("r1").facts
        assert ["r1"] == other.store.runs()
        assert 0 == other.open("r2").head.seq


def test_a_receipt_names_the_last_record(log: EffectLog) -> None:
    """By number and hash: who has it can tell a shorter log from a whole one."""
    run = log.open("r1")
    receipt = asyncio.run(run.append(LEASE, read("zone")))
    assert ("r1", 2, run.head.hash.hex()) == (receipt.run, receipt.seq, receipt.hash)


def test_many_runs_share_a_commit(log: EffectLog) -> None:
    """What comes at once is synced once, and each run has its own in order."""
    runs = [log.open(f"r{number}") for number in range(16)]

    async def each(run: RunLog) -> None:
        for record in story():
            await run.append(record)

    async def all_() -> None:
        await asyncio.gather(*(each(run) for run in runs))

    asyncio.run(all_())
    assert len(story()) == log.commits
    assert all(story() == said(log.store, run.run) for run in runs)  # type: ignore[arg-type]


def test_a_run_alone_waits_for_nobody(log: EffectLog) -> None:
    """It is committed before anything else has its turn."""
    run = log.open("r1")

    async def all_() -> None:
        await run.append(LEASE)
        turns: list[int] = []
        asyncio.get_running_loop().call_soon(turns.append, 1)
        await run.append(read("zone"))
        assert ([], 2) == (turns, run.head.seq)

    asyncio.run(all_())


def test_records_of_one_run_keep_their_order(log: EffectLog) -> None:
    """Also where nobody waits for the one before."""
    run = log.open("r1")

    async def all_() -> None:
        await run.append(LEASE)
        await asyncio.gather(*(run.append(read(f"s{number}")) for number in range(20)))

    asyncio.run(all_())
    slots = [record.slot for record in said(log.store, "r1")[1:]]  # type: ignore[arg-type, union-attr]
    assert [f"s{number}" for number in range(20)] == slots


def test_what_contradicts_is_not_written(log: EffectLog) -> None:
    """Neither it nor what was given with it, and the run goes on."""
    run, notify = log.open("r1"), intent("notify")

    async def all_() -> None:
        await run.append(LEASE)
        with pytest.raises(ContradictionError, match="zone is sealed already"):
            await run.append(notify, read("zone"), read("zone"))
        with pytest.raises(CanonicalError):
            await run.append(notify, Decision(slot="d", asked_hash="a", output=float("inf")))
        assert (1, {}) == (run.head.seq, run.facts.effects)
        await run.append(notify)
        with pytest.raises(ConflictError):
            await run.append(intent("notify", fingerprint="other", attempt=2))
        await run.append(completion(notify))

    asyncio.run(all_())
    assert [LEASE, notify, completion(notify)] == said(log.store, "r1")  # type: ignore[arg-type]


def test_a_refusal_forgets_nothing_that_is_on_its_way(log: EffectLog) -> None:
    """What waits for the disk is known to the rules, also after another was refused."""
    run, notify = log.open("r1"), intent("notify")

    async def all_() -> None:
        await run.append(LEASE)
        await log.open("r2").append(LEASE)
        waiting = asyncio.ensure_future(run.append(notify))
        await asyncio.sleep(0)
        assert (1, {}) == (run.head.seq, run.facts.effects)
        with pytest.raises(ContradictionError):
            await run.append(read("zone"), read("zone"))
        with pytest.raises(ContradictionError, match="attempts have no gaps"):
            await run.append(notify)
        await waiting
        await run.append(completion(notify))

    asyncio.run(all_())
    assert 3 == log.open("r1").head.seq


def test_a_successor_fences(log: EffectLog, tmp_path: Path) -> None:
    """Who held the run before writes nothing more, and knows it; other runs do not suffer."""
    first, bystander = log.open("r1"), log.open("r2")
    store = SqliteStore(tmp_path / "log" / LOG)
    second_log = EffectLog(store, FileAnchor(tmp_path / "log" / "second"), "gateway-2")

    async def all_() -> None:
        await first.append(LEASE)
        second = second_log.open("r1")
        await second.append(Lease(epoch=2, holder="gateway-2", claim="c2"))
        late, fine = await asyncio.gather(
            first.append(intent("notify")), bystander.append(LEASE), return_exceptions=True
        )
        assert isinstance(late, FencedError)
        assert not isinstance(fine, BaseException)
        with pytest.raises(FencedError):
            await first.append(read("zone"))
        await second.append(read("zone"))

    asyncio.run(all_())
    second_log.close()
    assert ["Lease", "Lease", "Read"] == [type(one).__name__ for one in said(log.store, "r1")]  # type: ignore[arg-type]


def test_nothing_written_may_be_tried_again(tmp_path: Path) -> None:
    """A full disk: the facts are those of the disk, and what follows a lost record is lost too."""
    full = NotWrittenError("the disk is full")
    store = Failing(SqliteStore(tmp_path / LOG), None, full)
    log = EffectLog(store, FileAnchor(tmp_path / HEADS), "g")  # type: ignore[arg-type]
    run, other = log.open("r1"), log.open("r2")

    async def all_() -> None:
        await run.append(LEASE)
        lost = await asyncio.gather(
            other.append(LEASE),
            run.append(intent("a")),
            run.append(intent("b")),
            return_exceptions=True,
        )
        assert [full, full, full] == lost
        assert {} == run.facts.effects
        await run.append(intent("b"))

    asyncio.run(all_())
    log.close()
    with closing(SqliteStore(tmp_path / LOG)) as again:
        assert [LEASE, intent("b")] == said(again, "r1")


def test_where_one_is_fenced_nobody_leaves_a_gap(tmp_path: Path) -> None:
    """Written apart, what follows a record that was not written is not written either."""
    fenced, full = FencedError("another writer was here first"), NotWrittenError("full")
    store = Failing(SqliteStore(tmp_path / LOG), None, fenced, None, full)
    log = EffectLog(store, FileAnchor(tmp_path / HEADS), "g")  # type: ignore[arg-type]
    run, other = log.open("r1"), log.open("r2")

    async def all_() -> None:
        await run.append(LEASE)
        found = await asyncio.gather(
            other.append(LEASE),
            run.append(read("a")),
            run.append(read("b")),
            return_exceptions=True,
        )
        assert [full, full] == found[1:]
        await run.append(read("b"))

    asyncio.run(all_())
    assert [LEASE, read("b")] == said(log.store, "r1")  # type: ignore[arg-type]
    assert [LEASE] == said(log.store, "r2")  # type: ignore[arg-type]
    log.close()


def test_who_gives_up_waiting_leaves_no_gap(tmp_path: Path) -> None:
    """A record whose writer was cancelled is written all the same, also where another is fenced."""
    fenced = FencedError("another writer was here first")
    store = Failing(SqliteStore(tmp_path / LOG), None, fenced)
    log = EffectLog(store, FileAnchor(tmp_path / HEADS), "g")  # type: ignore[arg-type]
    run, other = log.open("r1"), log.open("r2")

    async def all_() -> None:
        await run.append(LEASE)
        tasks = [
            asyncio.ensure_future(one)
            for one in (other.append(LEASE), run.append(read("a")), run.append(read("b")))
        ]
        asyncio.get_running_loop().call_soon(tasks[1].cancel)
        await asyncio.wait(tasks)

    asyncio.run(all_())
    log.close()
    with closing(SqliteStore(tmp_path / LOG)) as again:
        assert [LEASE, read("a"), read("b")] == said(again, "r1")


def test_a_doubt_ends_the_writer(tmp_path: Path) -> None:
    """Whether the record is there is known only to who opens the run anew."""
    store = Failing(SqliteStore(tmp_path / LOG), None, DoubtError("an input/output error"))
    log = EffectLog(store, FileAnchor(tmp_path / HEADS), "g")  # type: ignore[arg-type]
    run = log.open("r1")

    async def all_() -> None:
        await run.append(LEASE)
        for _ in range(2):
            with pytest.raises(DoubtError):
                await run.append(intent("a"))
        anew = log.open("r1")
        await anew.append(intent("a"))
        with pytest.raises(DoubtError):
            await run.append(resolution(intent("a"), Verdict.ABSENT))

    asyncio.run(all_())
    log.close()


def test_closing_fails_what_waits(log: EffectLog) -> None:
    """It is said that it was not written, and it was not."""
    run = log.open("r1")
    log.open("r2")  # else it would be alone, and wait for nobody

    async def all_() -> None:
        waiting = asyncio.ensure_future(run.append(LEASE))
        await asyncio.sleep(0)  # it is queued, and the commit has not had its turn
        log.close()
        with pytest.raises(FencedError, match="closed"):
            await waiting

    asyncio.run(all_())


# Compaction ----------------------------------------------------------------------------------


def test_a_compacted_run_has_its_facts(log: EffectLog) -> None:
    """What is in doubt above all; the chain goes on from what is gone."""
    run = log.open("r1")
    write(run, [LEASE, read("zone"), intent("notify"), intent("label")])
    before = run.facts.copy()
    asyncio.run(run.compact())
    (kept,) = said(log.store, "r1")  # type: ignore[arg-type]
    assert isinstance(kept, Summary)
    again = log.open("r1")
    assert (before, 5) == (again.facts, again.head.seq)
    assert {"notify", "label"} == set(again.facts.unresolved)
    write(again, [completion(intent("notify")), resolution(intent("label"), Verdict.ABSENT)])
    write(again, [Terminal(status="completed")])
    assert log.open("r1").facts.terminal


def test_a_compaction_that_dies_between_is_harmless(log: EffectLog) -> None:
    """The summary is there, and so are the records that it sums up."""
    run = log.open("r1")
    write(run, [LEASE, intent("notify")])
    log.store.drop = lambda *_: None  # type: ignore[method-assign]
    asyncio.run(run.compact())
    assert 3 == len(said(log.store, "r1"))  # type: ignore[arg-type]
    assert run.facts == log.open("r1").facts


# Damage --------------------------------------------------------------------------------------


def change(path: Path, statement: str, *values: object) -> None:
    """Change the file behind the log's back."""
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute(statement, values)


@pytest.mark.parametrize(
    ("statement", "seq", "why"),
    [
        ("delete from log where seq = 13", 13, "record 13 of run r1: it is missing"),
        ("delete from log where seq > 4", 13, "it is missing"),
        ("delete from log", 13, "it is missing"),
        ("delete from head", 1, "13 records were acknowledged, 0 are there"),
        ("update head set seq = 4, last = 4", 5, "13 records were acknowledged, 4 are there"),
        ("update head set last = 4", 5, "13 records were acknowledged, 4 are there"),
        ("update log set before = 13 where seq = 6", 6, "not after the one before it"),
        ("delete from log where seq = 6", 6, "the first one there is 7"),
        ("delete from log where seq < 5", 4, "the first one there is 5"),
        ("update log set data = x'' where seq = 4", 4, "its checksum"),
        ("update log set crc = 0 where seq = 4", 4, "its checksum"),
        ("update log set hash = zeroblob(32) where seq = 4", 4, "its hash does not follow"),
        ("update log set seq = -seq where seq in (3, 4)", 3, "the next one there is -3"),
        ("update log set run = 'r2' where seq = 13", 13, "a row of r2 is there"),
    ],
)
def test_what_is_not_as_it_was_is_damage(
    tmp_path: Path, statement: str, seq: int, why: str
) -> None:
    """Dropped, moved, emptied or changed: the first record that is wrong is named."""
    with effect_log(tmp_path, "g") as log:
        write(log.open("r1"), story())
    change(tmp_path / LOG, statement)
    with effect_log(tmp_path, "g") as log, pytest.raises(DamagedError, match=why) as caught:
        log.open("r1")
    assert ("r1", seq) == (caught.value.run, caught.value.seq)


def test_a_log_that_was_written_anew_is_damage(tmp_path: Path) -> None:
    """Its chain is whole, and is not the one that was acknowledged: only the anchor knows."""
    for folder in ("a", "b"):
        with effect_log(tmp_path / folder, folder) as log:
            write(log.open("r1"), story())
    (tmp_path / "a" / LOG).replace(tmp_path / "b" / LOG)
    with effect_log(tmp_path / "b", "g") as log, pytest.raises(DamagedError, match="another hash"):
        log.open("r1")


def test_a_record_of_another_run_is_damage(tmp_path: Path) -> None:
    """Whole as it is, it stands in the wrong place."""
    with effect_log(tmp_path, "g") as log:
        write(log.open("r1"), story())
        write(log.open("r2"), story()[:2])
    change(tmp_path / LOG, "update log set run = 'r3' where run = 'r1'")
    change(tmp_path / LOG, "update head set run = 'r3' where run = 'r1'")
    with effect_log(tmp_path, "g") as log:
        for run in ("r1", "r3"):
            with pytest.raises(DamagedError):
                log.open(run)
        assert 2 == log.open("r2").head.seq


def test_without_its_heads_a_log_is_not_believed(tmp_path: Path) -> None:
    """Nobody could tell whether it is whole."""
    with effect_log(tmp_path, "g") as log:
        write(log.open("r1"), story())
    (tmp_path / HEADS).unlink()
    with pytest.raises(DamagedError, match="heads is gone"), effect_log(tmp_path, "g"):
        pass


@pytest.mark.parametrize(
    ("content", "error", "why"),
    [
        (b"SQLite format 3\0 and then not", DamagedError, "not a database"),
        (b"something else entirely" * 50, DamagedError, "not a database"),
    ],
)
def test_another_file_is_refused(
    tmp_path: Path, content: bytes, error: type[EffectLogError], why: str
) -> None:
    """And is left as it is."""
    (tmp_path / LOG).write_bytes(content)
    with pytest.raises(error, match=why), effect_log(tmp_path, "g"):
        pass
    assert content == (tmp_path / LOG).read_bytes()


def test_a_locked_file_is_not_damaged(tmp_path: Path, monkeypatch) -> None:
    """Nothing is known to be wrong: it is to be read later; nor is one that may not be opened."""
    monkeypatch.setattr(sqlite, "BUSY_S", 0.01)
    with effect_log(tmp_path / "log", "g") as log:
        write(log.open("r1"), story())
    with closing(sqlite3.connect(tmp_path / "log" / LOG)) as holder:
        holder.execute("pragma locking_mode = exclusive")
        holder.execute("begin exclusive")
        with pytest.raises(UnavailableError, match="locked"):
            SqliteStore(tmp_path / "log" / LOG)
        holder.execute("rollback")
    with pytest.raises(UnavailableError, match="unable to open"):
        SqliteStore(tmp_path / "nowhere" / LOG)


def test_a_gap_is_never_written(log: EffectLog) -> None:
    """A row whose predecessor is not there is refused, and the store goes on."""
    write(log.open("r1"), [LEASE])
    (first,) = log.store.rows("r1")
    with pytest.raises(FencedError):
        log.store.append([Row("r1", 3, first.data, first.crc, first.hash)])
    write(log.open("r1"), [read("zone")])


def test_another_database_and_another_version_are_refused(tmp_path: Path) -> None:
    """A database of somebody else's, and a log of a later version."""
    change(tmp_path / LOG, "create table theirs (x)")
    with pytest.raises(DamagedError, match="no effect log"), effect_log(tmp_path, "g"):
        pass
    (tmp_path / LOG).unlink()
    with effect_log(tmp_path, "g"):
        pass
    change(tmp_path / LOG, "pragma user_version = 9")
    with pytest.raises(VersionError, match="version 9; this is for version 1"):
        SqliteStore(tmp_path / LOG)


# Blobs ---------------------------------------------------------------------------------------


def test_a_blob_is_what_was_kept(log: EffectLog, tmp_path: Path) -> None:
    """Or it is damage; keeping it twice keeps it once."""
    name = log.store.put(b"a long answer")
    assert name == log.store.put(b"a long answer")
    assert b"a long answer" == log.store.get(name)
    with pytest.raises(DamagedError, match="not what was kept"):
        log.store.get("0" * 64)
    change(tmp_path / "log" / LOG, "update blob set data = x'00'")
    with pytest.raises(DamagedError, match="not what was kept"):
        log.store.get(name)


# Heads ---------------------------------------------------------------------------------------


def row(run: str, seq: int) -> Row:
    """Return a row as an anchor sees it."""
    return Row(run, seq, b"x", 0, bytes([seq]) * 32)


def test_heads_are_read_back(tmp_path: Path) -> None:
    """The last of each run; a torn line is passed over, and does not move the next ones."""
    path = tmp_path / HEADS
    anchor = FileAnchor(path)
    anchor.note([row("a", 1), row("b", 1), row("a", 2)])
    anchor.note([row("a", 3)])
    anchor.close()
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        torn = FileAnchor(path)
        torn.note([row("c", 7)])
        torn.close()
        found = ReadAnchor(heads(path))
        c, a = found.head("c"), found.head("a")
        lines = cut // anchors.SIZE
        assert c is not None
        assert (7, [None, 2, 2, 3][lines]) == (c.seq, a and a.seq)


def test_a_damaged_head_makes_the_check_weaker_not_wrong(tmp_path: Path) -> None:
    """Each byte of the file flipped: never a head that was not."""
    path = tmp_path / HEADS
    anchor = FileAnchor(path)
    for seq in (1, 2, 3):
        anchor.note([row("a", seq)])
    anchor.close()
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        found = ReadAnchor(heads(path)).head("a")
        assert found is not None
        assert (3 if at < 2 * anchors.SIZE else 2, bytes([found.seq]) * 32) == (
            found.seq,
            found.hash,
        )


def test_a_long_file_of_heads_is_written_anew(tmp_path: Path, monkeypatch) -> None:
    """One line for each run, the same heads; a run that is forgotten has none."""
    monkeypatch.setattr(anchors, "REWRITE", 500)
    path = tmp_path / HEADS
    anchor = FileAnchor(path)
    for seq in range(1, 50):
        anchor.note([row("a", seq), row("b", seq)])
    anchor.close()
    anchor = FileAnchor(path)
    assert 2 * anchors.SIZE == path.stat().st_size
    head = anchor.head("a")
    assert head is not None
    assert 49 == head.seq
    anchor.forget("a")
    anchor.close()
    assert (None, 1) == (ReadAnchor(heads(path)).head("a"), path.stat().st_size // anchors.SIZE)


def test_who_only_reads_finds_the_same(log: EffectLog, tmp_path: Path) -> None:
    """While the writer is at work, without a file of its own."""
    run = log.open("r1")
    write(run, story()[:5])
    with closing(SqliteStore(tmp_path / "log" / LOG)) as store:
        found = recover(store, ReadAnchor(heads(tmp_path / "log" / HEADS)), "r1")
    assert (run.facts, run.head) == (found.facts, found.head)
