"""The seal of a record: a checksum for the disk, and a hash that holds it to all before it.

The checksum tells a torn record from a whole one.  It begins from a seed, since the plain CRC of
nothing is zero, and zeros are what a torn tail is made of.  The hash of a record covers the one
before it, so that none can be changed, dropped, doubled or moved without all later ones.
"""

from __future__ import annotations

import hashlib
import zlib

from dataclasses import dataclass

from runtimes.reference.effect_log.errors import DamagedError


FORMAT = 1
NAME = f"bakeoff effect log {FORMAT}".encode()
SEED = zlib.crc32(NAME)


@dataclass(frozen=True, slots=True)
class Row:
    """A record as a store keeps it: canonical text, checksum, hash (32 bytes)."""

    run: str
    seq: int
    data: bytes
    crc: int
    hash: bytes

    def __hash__(self) -> int:
        """Return a number of its seal, which equal rows have in common."""
        return hash(self.hash)


def genesis(run: str) -> bytes:
    """Return what stands before the first record of a run (32 bytes)."""
    return hashlib.sha256(NAME + b"\0" + run.encode()).digest()


def seal(run: str, seq: int, data: bytes, prev: bytes) -> Row:
    """Return a record with its seal; ``prev`` is the hash of the one before."""
    return Row(run, seq, data, zlib.crc32(data, SEED), hashlib.sha256(prev + data).digest())


def check_whole(row: Row) -> None:
    """Hold a record to its checksum.

    Raises:
        DamagedError: it is not what was written.

    """
    whole = isinstance(row.data, bytes) and row.data  # a damaged file may have another type
    if not whole or zlib.crc32(row.data, SEED) != row.crc:
        raise DamagedError.at(row.run, row.seq, "its bytes do not have its checksum")


def check_follows(row: Row, prev: bytes) -> None:
    """Hold a record to the one before it.

    Raises:
        DamagedError: it does not follow from that one.

    """
    if hashlib.sha256(prev + row.data).digest() != row.hash:
        raise DamagedError.at(
            row.run, row.seq, "its hash does not follow from the record before it"
        )
