"""What an approval is: its subject, its state, and how long it lasts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from runtimes.reference.gateway.clock import Moment
from runtimes.reference.resume.session import Wanted


class State(StrEnum):
    """How far it is; the last four are for good."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    STALE = "stale"
    """The premises have changed since it was asked."""
    USED = "used"

    @property
    def open(self) -> bool:
        """Say whether it may still come to something."""
        return self in {State.PENDING, State.APPROVED}


class ApprovalError(Exception):
    """There is no such approval to be given or used; the message says why, and what to do.

    Attributes:
        state: that of the nearest one, if there is any.

    """

    def __init__(self, why: str, state: State | None = None) -> None:
        """Say why."""
        super().__init__(why)
        self.state = state


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is approved, to the letter; ``fork`` tells apart two runs that were one."""

    run: str
    slot: str
    request_hash: str
    premise_hash: str
    plan_epoch: int = 0
    fork: str = ""

    @property
    def line(self) -> tuple[str, str]:
        """Return the run, as one of its forks."""
        return self.run, self.fork

    @property
    def place(self) -> tuple[str, str, str]:
        """Return the step of that run."""
        return *self.line, self.slot

    @classmethod
    def of(cls, run: str, wanted: Wanted, plan_epoch: int = 0, fork: str = "") -> Subject:
        """Return the subject that a request of a run is."""
        return cls(
            run=run,
            slot=wanted.slot,
            request_hash=wanted.request_hash,
            premise_hash=wanted.premise_hash,
            plan_epoch=plan_epoch,
            fork=fork,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One request of a human's word; ``since`` is when it came to its state."""

    ident: str
    subject: Subject
    state: State
    since: Moment
    lasts_ns: int
    by: str = ""
    claim: str = ""

    def at(self, now: Moment) -> Approval:
        """Return it as it is at a time: expired, if it was open and its time is over."""
        passed_ns = now.mono_ns - self.since.mono_ns
        lasts = self.since.life == now.life and 0 <= passed_ns < self.lasts_ns
        return self if lasts or not self.state.open else replace(self, state=State.EXPIRED)


All: TypeAlias = tuple[Approval, ...]
