"""What can go wrong with the log, told apart by what is known afterwards."""

from __future__ import annotations


class EffectLogError(Exception):
    """The log refuses, or cannot go on; the message says what is known."""


class DamagedError(EffectLogError):
    """LOG_DAMAGED: an acknowledged record is not there as it was written.

    Attributes:
        run: the run whose record it is; empty where the whole store cannot be read.
        seq: the first record that is wrong or missing; 0 where that cannot be told.

    """

    def __init__(self, why: str, run: str = "", seq: int = 0) -> None:
        """Say what is wrong, and with which record."""
        where = f"record {seq} of run {run}" if run else "the store"
        super().__init__(f"LOG_DAMAGED: {where}: {why}; restore it, nothing after it is believed")
        self.run, self.seq = run, seq

    @classmethod
    def at(cls, run: str, seq: int, why: str) -> DamagedError:
        """Return the error of one record."""
        return cls(why, run, seq)


class UnavailableError(EffectLogError):
    """The log cannot be read now: nobody answers, or it is locked; nothing is known to be wrong."""


class VersionError(EffectLogError):
    """The log was written by a version that this one cannot read."""


class ContradictionError(EffectLogError):
    """The record says what the log so far rules out; it was not written."""


class ConflictError(ContradictionError):
    """CONFLICT: the slot has another request already; fork the plan, or refuse."""


class FencedError(EffectLogError):
    """Somebody else wrote to this run: this writer holds it no more, and wrote nothing."""


class NotWrittenError(EffectLogError):
    """Nothing was written, and the log stands as it stood: a full disk, a closed store."""


class DoubtError(EffectLogError):
    """The commit failed on its way: the records may be durable or not; open the run anew."""
