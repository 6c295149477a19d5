"""What faults do to the log of a gateway: its end, its room on the disk, all of it.

A dead gateway leaves what SQLite had written: its database, and after it the frames of each commit.
Those of the last one are what a torn write or a bad sector would hit.
"""

from __future__ import annotations

import resource
import shutil
import sqlite3
import struct

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from runtimes.reference.effect_log.folder import HEADS, LOG
from runtimes.reference.gateway.client import ask


WAL = f"{LOG}-wal"
HEADER = struct.Struct(">8xI4x8s8x")
"""Of the file: the size of a page, and the salts of the frames that count."""
FRAME = struct.Struct(">4xI8s8x")
"""Of a frame: how large the database is after it, 0 where no commit ends there; its salts."""
FAILED = "bakeoff_gateway_unwritten_total "


class SpoilError(Exception):
    """The log is not as it was expected, so that it was left alone."""


@dataclass(frozen=True, slots=True)
class LogFolder:
    """The log of a gateway in ``folder``; ``pid`` returns the process that writes it."""

    folder: Path
    pid: Callable[[], int]

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def cut(self) -> str:
        """Cut the last commit in two; it was acknowledged."""
        start, end = last_commit((self._log / WAL).read_bytes())
        with (self._log / WAL).open("r+b") as file:
            file.truncate(start + (end - start) // 2)
        return f"the log ends in the middle of its last commit of {end - start} bytes"

    def flip(self) -> str:
        """Turn a bit of the last commit over; it was acknowledged."""
        wal = bytearray((self._log / WAL).read_bytes())
        start, end = last_commit(wal)
        place = start + (end - start) // 2
        wal[place] ^= 1
        (self._log / WAL).write_bytes(wal)
        return f"a bit of the log's last commit of {end - start} bytes is another"

    def tear(self) -> str:
        """Leave the first half of a commit at the end that nobody was told of."""
        wal = (self._log / WAL).read_bytes()
        _, end = last_commit(wal)
        with TemporaryDirectory(prefix="bakeoff-torn-") as aside:
            copy = Path(shutil.copytree(self._log, aside, dirs_exist_ok=True))
            with closing(sqlite3.connect(copy / LOG, isolation_level=None)) as sql:
                sql.execute("insert into blob values ('torn', zeroblob(9000))")
                longer = (copy / WAL).read_bytes()
        start, after = last_commit(longer)
        if start != end or longer[:end] != wal[:end]:
            msg = "expected one more commit at the log's end, seen another file"
            raise SpoilError(msg)
        half = (after - start) // 2
        (self._log / WAL).write_bytes(wal[:end] + longer[start : start + half])
        return f"{half} bytes of a commit that nobody was told of stand at the log's end"

    def wipe(self) -> str:
        """Put the log back to what it was before any run."""
        for name in (LOG, WAL, f"{LOG}-shm", HEADS):
            (self._log / name).unlink(missing_ok=True)
        return "the log has no run any more; what else the gateway keeps is as it was"

    def fill(self) -> None:
        """Let no file of the live gateway grow beyond what its log has now."""
        self._limit((self._log / WAL).stat().st_size)

    def empty(self) -> None:
        """Let them grow again."""
        self._limit(resource.RLIM_INFINITY)

    def unwritten(self) -> int:
        """Return how many appends the log has not taken."""
        lines = ask(self.folder, "/metrics").splitlines()
        return int(next(float(ln.split()[1]) for ln in lines if ln.startswith(FAILED)))

    def _limit(self, size: int) -> None:
        _, most = resource.prlimit(self.pid(), resource.RLIMIT_FSIZE)
        soft = most if size == resource.RLIM_INFINITY else size
        resource.prlimit(self.pid(), resource.RLIMIT_FSIZE, (soft, most))


def last_commit(wal: bytes | bytearray) -> tuple[int, int]:
    """Return where the last commit of a write-ahead log begins and ends.

    Raises:
        SpoilError: it has none.

    """
    if len(wal) < HEADER.size:
        msg = f"expected a write-ahead log, seen {len(wal)} bytes"
        raise SpoilError(msg)
    page, salts = HEADER.unpack_from(wal)
    ends = [HEADER.size]
    for start in range(HEADER.size, len(wal), FRAME.size + page):
        after = start + FRAME.size + page
        if after > len(wal):
            break
        size, own = FRAME.unpack_from(wal, start)
        if own != salts:  # left over from before the file was begun anew
            break
        if size:
            ends.append(after)
    if len(ends) == 1:
        msg = "expected a commit in the write-ahead log, seen none"
        raise SpoilError(msg)
    return ends[-2], ends[-1]
