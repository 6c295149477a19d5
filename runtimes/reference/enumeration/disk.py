"""A disk in memory: what was written, and what of it would outlive the power."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from runtimes.reference.effect_log.anchor import Head
from runtimes.reference.effect_log.chain import Row
from runtimes.reference.effect_log.errors import FencedError


@dataclass(slots=True)
class Disk:
    """The log of one run, as a store and as an anchor; ``synced`` rows outlive the power.

    ``careless`` is a store that says "written" before it is on the disk.
    """

    rows: list[Row] = field(default_factory=list)
    synced: int = 0
    careless: bool = False

    def copy(self) -> Disk:
        """Return a disk with the same rows."""
        return Disk([*self.rows], self.synced, self.careless)

    def cut(self, kept: int) -> Disk:
        """Return what the power leaves of it, if it leaves that many rows."""
        return Disk(self.rows[:kept], kept, self.careless)

    # What a store does ------------------------------------------------------------------------

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows, unless the first one's number is taken."""
        if rows[0].seq != len(self.rows) + 1:
            msg = f"row {rows[0].seq} of {rows[0].run} is there already"
            raise FencedError(msg)
        self.rows += rows
        if not self.careless:
            self.synced = len(self.rows)

    def rows_of(self, run: str) -> Iterator[Row]:
        """Yield the rows of the run."""
        del run
        yield from self.rows


@dataclass(slots=True)
class Store:
    """The disk as the effect log's store."""

    disk: Disk

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows."""
        self.disk.append(rows)

    def rows(self, run: str) -> Iterator[Row]:
        """Yield the rows of a run."""
        return self.disk.rows_of(run)

    def runs(self) -> Sequence[str]:
        """Return the runs that have rows."""
        return sorted({row.run for row in self.disk.rows})

    def put(self, blob: bytes) -> str:
        """Keep no blobs."""
        raise NotImplementedError

    def get(self, digest: str) -> bytes:
        """Have no blobs."""
        raise NotImplementedError

    def drop(self, run: str, before: int) -> None:
        """Drop nothing."""
        raise NotImplementedError

    def close(self) -> None:
        """Hold nothing open."""


@dataclass(slots=True)
class Heads:
    """The head as the rows have it: an anchor that is behind would only see less."""

    disk: Disk

    def head(self, run: str) -> Head | None:
        """Return the last row."""
        del run
        last = self.disk.rows[-1] if self.disk.rows else None
        return Head(last.seq, last.hash) if last else None

    def note(self, rows: Iterable[Row]) -> None:
        """Know it already."""

    def forget(self, run: str) -> None:
        """Have nothing to forget."""

    def close(self) -> None:
        """Hold nothing open."""
