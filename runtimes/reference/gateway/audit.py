"""What was decided, line by line: who asked for what, under which capability, and why it was so.

A line is written before what it allows can happen, and never changed; a decision that cannot be
written down is not made.  There is no value of an argument in it.  Lines outlive the process at
once, and the power by whatever the machine has written by then: what was done to the world stands
in the effect log, which is synced.
"""

from __future__ import annotations

import os

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import orjson

from runtimes.reference.effect_log.log import wall_ms
from runtimes.reference.gateway.errors import UnjudgedError


class Decision(StrEnum):
    """What was decided."""

    ADMISSION = "admission"
    PERMIT = "permit"
    REFUSAL = "refusal"
    APPROVAL = "approval"
    REVOCATION = "revocation"
    ROTATION = "rotation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A decision; ``peer`` is who asked, as the kernel has it."""

    decision: Decision
    reason: str = ""
    run: str = ""
    slot: str = ""
    op: str = ""
    target: str = ""
    capability: str = ""
    request_hash: str = ""
    peer: str = ""


class Audit:
    """A file of JSON lines, which only grows; ``clean`` takes secrets out of what was asked."""

    def __init__(self, path: Path, clean: Callable[[str], str] = str) -> None:
        """Open the file, or begin it; a torn last line is ended.

        Raises:
            OSError: it cannot be had.

        """
        self._path, self._clean = path, clean
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        size = os.fstat(self._file).st_size
        self._torn = bool(size) and os.pread(self._file, 1, size - 1) != b"\n"

    def write(self, line: Line) -> None:
        """Write a decision down.

        Raises:
            UnjudgedError: it was not written; what it was about is not done.

        """
        said = {name: self._clean(text) for name, text in asdict(line).items()}
        text = orjson.dumps({"wall_ms": wall_ms(), **said}) + b"\n"
        try:
            whole = os.write(self._file, b"\n" * self._torn + text) == len(text) + self._torn
            self._torn = not whole
        except OSError as error:
            msg = f"the decision cannot be written to {self._path}: {error.strerror}; make room"
            raise UnjudgedError(msg) from error
        if not whole:
            msg = f"the decision was written to {self._path} in part; make room"
            raise UnjudgedError(msg)

    def close(self) -> None:
        """Close the file, durable."""
        os.fsync(self._file)
        os.close(self._file)
