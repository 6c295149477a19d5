"""The heads of the runs, kept outside the log.

A log alone cannot tell a tail that was never acknowledged from one that was, and is gone: both
look like the end.  So the head of each run is written to another file after each commit, and what
the log has must reach it.  The file outlives the death of a process at once, and a power cut by at
most ``SYNC_S``: a head that is lost so makes the check weaker, never wrong.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
import zlib

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from runtimes.reference.effect_log.chain import SEED, Row


SYNC_S = 0.05
"""How long a head may wait for the disk."""
REWRITE = 1 << 20
"""Above so many bytes the file is written anew when it is opened, one line for each run."""
LINE = struct.Struct(">Q32s32s")
CRC = struct.Struct(">I")
SIZE = LINE.size + CRC.size


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a run that was acknowledged."""

    seq: int
    hash: bytes


class Heads(Protocol):
    """What is known of heads."""

    def head(self, run: str) -> Head | None: ...


class Anchor(Heads, Protocol):
    """Where heads are kept."""

    def note(self, rows: Iterable[Row]) -> None: ...
    def forget(self, run: str) -> None: ...
    def close(self) -> None: ...


def heads(path: Path) -> dict[bytes, Head]:
    """Read the heads of a file; a line that is torn or damaged is passed over."""
    data = path.read_bytes()
    found: dict[bytes, Head] = {}
    for start in range(0, len(data) - SIZE + 1, SIZE):
        line, crc = data[start : start + LINE.size], data[start + LINE.size : start + SIZE]
        if crc != CRC.pack(zlib.crc32(line, SEED)):
            continue
        seq, run, digest = LINE.unpack(line)
        if run not in found or seq > found[run].seq:
            found[run] = Head(seq, digest)
    return found


@dataclass(frozen=True, slots=True)
class ReadAnchor:
    """The heads as a file had them, for who only reads."""

    heads: dict[bytes, Head]

    def head(self, run: str) -> Head | None:
        """Return the head of a run, if one was noted."""
        return self.heads.get(_key(run))


class FileAnchor:
    """Heads in a file, which only grows while it is open; there is one writer."""

    def __init__(self, path: Path) -> None:
        """Read the file, or begin it."""
        self._path = path
        self._heads = heads(path) if path.exists() else {}
        size = path.stat().st_size if path.exists() else 0
        if size > REWRITE or size % SIZE:
            self._rewrite()
        self._open()
        self._synced_s, self._dirty = time.monotonic(), False

    def head(self, run: str) -> Head | None:
        """Return the head of a run, if one was noted."""
        return self._heads.get(_key(run))

    def note(self, rows: Iterable[Row]) -> None:
        """Write down the heads that these rows make, once they are durable.

        Raises:
            OSError: they were not written; the next ones take their place.

        """
        for row in rows:
            key = _key(row.run)
            self._heads[key] = self._unwritten[key] = Head(row.seq, row.hash)
        text = b"".join(_line(run, head) for run, head in self._unwritten.items())
        # Always from the end of the last whole line: a torn one is written over.
        if os.pwrite(self._file, text, self._end) < len(text):
            msg = f"{self._path} takes no more"
            raise OSError(msg)
        self._end += len(text)
        self._unwritten.clear()
        self._dirty = True
        if time.monotonic() - self._synced_s >= SYNC_S:
            self.sync()

    def forget(self, run: str) -> None:
        """Drop the head of a run that is removed."""
        if self._heads.pop(_key(run), None):
            self._unwritten.pop(_key(run), None)
            os.close(self._file)
            self._rewrite()
            self._open()

    def sync(self) -> None:
        """Make all that was noted outlive the power."""
        os.fdatasync(self._file)
        self._synced_s, self._dirty = time.monotonic(), False

    def close(self) -> None:
        """End, with everything on the disk."""
        if self._dirty:
            self.sync()
        os.close(self._file)

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        self._end = os.fstat(self._file).st_size
        self._unwritten: dict[bytes, Head] = {}

    def _rewrite(self) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.writelines(_line(run, head) for run, head in self._heads.items())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        _sync_folder(self._path.parent)


def _line(run: bytes, head: Head) -> bytes:
    line = LINE.pack(head.seq, run, head.hash)
    return line + CRC.pack(zlib.crc32(line, SEED))


@lru_cache(maxsize=4096)
def _key(run: str) -> bytes:
    return hashlib.sha256(run.encode()).digest()


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
