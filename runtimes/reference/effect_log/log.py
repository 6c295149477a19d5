"""Writing: records of many runs go to the store together, and nobody goes on before his are there.

One writer commits for all.  What comes while nobody looks is committed in one transaction, so that
many runs share a sync.  A run's own records keep their order, and one that failed takes those
after it along.
"""

from __future__ import annotations

import asyncio
import time

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

from runtimes.reference.effect_log.anchor import Anchor, Head
from runtimes.reference.effect_log.canonical import CanonicalError
from runtimes.reference.effect_log.chain import Row, seal
from runtimes.reference.effect_log.errors import DoubtError, EffectLogError, FencedError
from runtimes.reference.effect_log.facts import Facts
from runtimes.reference.effect_log.reading import recover
from runtimes.reference.effect_log.records import Entry, Lease, Record, Summary
from runtimes.reference.effect_log.store import Store


def wall_ms() -> int:
    """Return the time for people (milliseconds since 1970)."""
    return time.time_ns() // 1_000_000


def minted() -> str:
    """Return a name that nobody had before."""
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was acknowledged: the last record and its hash (hex)."""

    run: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Records of a run that are not yet durable."""

    log: RunLog
    entries: Sequence[Entry]
    rows: Sequence[Row]
    done: asyncio.Future[None]


@dataclass(slots=True)
class EffectLog:
    """A store with its anchor, for one writer of this process; ``actor`` is its name.

    What no process can know beforehand, the clocks and new names, comes from here.
    """

    store: Store
    anchor: Anchor
    actor: str
    clock_ms: Callable[[], int] = wall_ms
    mono_ns: Callable[[], int] = time.monotonic_ns
    mint: Callable[[], str] = minted
    commits: int = 0
    _waiting: list[Waiting] = field(default_factory=list)
    _latest: RunLog | None = None
    """Who wrote or came last: if it writes next, it has nobody to wait for."""
    _closed: bool = False

    def open(self, run: str) -> RunLog:
        """Read a run, verified; it may be a new one.

        Raises:
            DamagedError: an acknowledged record is missing or not as it was written.
            VersionError: a later version wrote it.

        """
        found = recover(self.store, self.anchor, run)
        self._latest = log = RunLog(self, run, found.facts, found.head)
        return log

    def close(self) -> None:
        """End, once; what waits is not written."""
        if self._closed:
            return
        self._closed = True
        self._fail([*self._waiting], FencedError("the log was closed; nothing was written"))
        self._waiting.clear()
        self._latest = None
        self.anchor.close()
        self.store.close()

    async def _write(self, log: RunLog, entries: Sequence[Entry], rows: Sequence[Row]) -> None:
        """Commit soon, with whatever else comes by then; a run that writes alone, at once."""
        if not self._waiting and self._latest is log:
            try:
                self._store(rows)
            except EffectLogError as error:
                log.lost(error)
                raise
            log.took(entries, rows)
            return
        self._latest = log
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._commit)
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append(Waiting(log, entries, rows, done))
        await done

    def _commit(self) -> None:
        group, self._waiting = self._waiting, []
        if not group:
            return
        try:
            self._append(group)
        except FencedError as error:
            if len(group) == 1:
                self._fail(group, error)
                return
            self._apart(group)
        except EffectLogError as error:
            self._fail(group, error)

    def _apart(self, group: Sequence[Waiting]) -> None:
        """Write one after another: who is fenced is not to take the others along.

        What follows a record that was not written is not written either, or there would be a gap.
        """
        broken: list[RunLog] = []
        for one in group:
            if any(one.log is log for log in broken):
                continue
            try:
                self._append([one])
            except EffectLogError as error:
                broken.append(one.log)
                self._fail([other for other in group if other.log is one.log], error)

    def _append(self, group: Sequence[Waiting]) -> None:
        self._store([row for one in group for row in one.rows])
        for one in group:
            one.log.took(one.entries, one.rows)
            if not one.done.cancelled():
                one.done.set_result(None)

    def _store(self, rows: Sequence[Row]) -> None:
        self.store.append(rows)
        self.commits += 1
        with suppress(OSError):  # the log stands without it, only its check is weaker
            self.anchor.note(rows)

    def _fail(self, group: Sequence[Waiting], error: EffectLogError) -> None:
        for one in group:
            later = [other for other in self._waiting if other.log is one.log]
            self._waiting = [other for other in self._waiting if other.log is not one.log]
            one.log.lost(error)
            for lost in (one, *later):
                if not lost.done.done():
                    lost.done.set_exception(error)


@dataclass(slots=True, eq=False)
class RunLog:
    """The log of one run in the hands of its writer; ``facts`` are durable, all of them."""

    log: EffectLog
    run: str
    facts: Facts
    head: Head
    _ahead: Facts = field(init=False)
    _tip: Head = field(init=False)
    _pending: list[Entry] = field(default_factory=list)
    """Given to the writer, and not yet durable."""
    _dead: EffectLogError | None = None

    def __post_init__(self) -> None:
        """Begin where the log ends."""
        self._ahead, self._tip = self.facts.copy(), self.head

    async def append(self, *records: Record) -> Receipt:
        """Write records, all or none, and return once they are durable.

        Raises:
            ConflictError: another request stands in the slot; nothing was written.
            ContradictionError: the log rules one of them out; nothing was written.
            CanonicalError: one of them has no canonical text; nothing was written.
            FencedError: somebody else holds the run; nothing was written.
            NotWrittenError: nothing was written; it may be tried again.
            DoubtError: it cannot be told whether they were; the run must be opened anew.

        """
        if self._dead:
            raise self._dead
        tip, entries, rows = self._tip, [], []
        try:
            for record in records:
                entry = self._entry(record, tip.seq + 1)
                row = seal(self.run, entry.seq, entry.text(), tip.hash)
                self._ahead.add(entry)
                tip = Head(row.seq, row.hash)
                entries.append(entry)
                rows.append(row)
        except (EffectLogError, CanonicalError):
            self._step_back(len(entries))
            raise
        self._tip = tip
        self._pending += entries
        await self.log._write(self, entries, rows)  # noqa: SLF001 - two halves of one
        return Receipt(self.run, tip.seq, tip.hash.hex())

    def _entry(self, record: Record, seq: int) -> Entry:
        return Entry(
            run=self.run,
            seq=seq,
            epoch=record.epoch if isinstance(record, Lease) else self._ahead.epoch,
            actor=self.log.actor,
            wall_ms=self.log.clock_ms(),
            mono_ns=self.log.mono_ns(),
            record=record,
        )

    def _step_back(self, taken: int) -> None:
        """Forget the first records of some of which a later one was refused."""
        if taken:
            self._ahead = self.facts.copy()
            for entry in self._pending:
                self._ahead.add(entry)

    async def compact(self) -> Receipt:
        """Write what still matters as one record, and drop those before it.

        Raises:
            EffectLogError: as ``append`` does; the records stay.

        """
        summary = Summary(prev=self._tip.hash.hex(), facts=self._ahead.to_json())
        receipt = await self.append(summary)
        self.log.store.drop(self.run, receipt.seq)
        return receipt

    def took(self, entries: Sequence[Entry], rows: Sequence[Row]) -> None:
        """Take in what is durable now."""
        for entry in entries:
            self.facts.add(entry)
        del self._pending[: len(entries)]
        self.head = Head(rows[-1].seq, rows[-1].hash)

    def lost(self, error: EffectLogError) -> None:
        """Go back to what is durable; after a doubt, or fenced, for good."""
        self._ahead, self._tip = self.facts.copy(), self.head
        self._pending.clear()
        if isinstance(error, FencedError | DoubtError):
            self._dead = error
