"""Where rows are kept.  A store knows nothing of what they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from runtimes.reference.effect_log.chain import Row


class Store(Protocol):
    """An append-only table of rows by run and number, and of blobs by their hash.

    Everything that returns is durable: it outlives the power too.  Methods block.
    """

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows, all or none.

        Raises:
            FencedError: a row with this run and number is there already, or the one before it is
                not; nothing was written.
            NotWrittenError: nothing was written.
            DoubtError: it cannot be told what was.

        """
        ...

    def rows(self, run: str) -> Iterator[Row]:
        """Yield the rows of a run in order.

        Raises:
            DamagedError: they are not as they were written.
            UnavailableError: they cannot be read now.

        """
        ...

    def runs(self) -> Sequence[str]:
        """Return the runs that have rows, in order; raises as ``rows`` does."""
        ...

    def put(self, blob: bytes) -> str:
        """Keep bytes, durable with the next rows at the latest; return their SHA-256 (hex).

        Raises:
            NotWrittenError: they were not kept.

        """
        ...

    def get(self, digest: str) -> bytes:
        """Return kept bytes.

        Raises:
            DamagedError: they are not there, or not what was kept.

        """
        ...

    def drop(self, run: str, before: int) -> None:
        """Remove the rows of a run below a number; raises as ``append`` does."""
        ...

    def close(self) -> None:
        """End; what was appended stays."""
        ...
