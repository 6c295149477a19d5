"""The states of an approval, and which may follow: no clock, no file.

Each transition takes the approvals as they are now, and returns them as they are after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from runtimes.reference.gateway.request import Request


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
    def of(cls, request: Request, plan_epoch: int = 0, fork: str = "") -> Subject:
        """Return the subject that a request is."""
        return cls(
            run=request.call.run,
            slot=request.call.step,
            request_hash=request.request_hash,
            premise_hash=request.premise_hash,
            plan_epoch=plan_epoch,
            fork=fork,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time of this machine since it was started, which is the only time that it can compare."""

    boot: str
    ns: int


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
        lasts = self.since.boot == now.boot and 0 <= now.ns - self.since.ns < self.lasts_ns
        return self if lasts or not self.state.open else replace(self, state=State.EXPIRED)


BOUND = ("plan_epoch", "request_hash", "premise_hash")
All: TypeAlias = tuple[Approval, ...]


def asked(known: All, fresh: Approval) -> tuple[All, Approval]:
    """Ask for ``fresh``, unless there is a word on the same already, for good or not.

    Whatever else was open for its slot is stale: a plan has one request for each.

    Raises:
        ApprovalError: it is of an older plan.

    """
    subject = fresh.subject
    _current(known, subject)
    for each in known:
        if each.subject == subject and each.state not in {State.EXPIRED, State.STALE}:
            return known, each
    before = tuple(
        replace(each, state=State.STALE, since=fresh.since)
        if each.state.open and each.subject.place == subject.place
        else each
        for each in known
    )
    return (*before, fresh), fresh


def decided(known: All, fresh: Approval) -> tuple[All, Approval]:
    """Set a word in the place of what it answers: an approval, or a denial of what is not used.

    Raises:
        ApprovalError: nothing of that name is open, or it is about something else.

    """
    found = next((each for each in known if each.ident == fresh.ident), None)
    if found is None:
        msg = (
            f"expected the name of an approval, seen {len(fresh.ident)} other characters; list all"
        )
        raise ApprovalError(msg)
    if found.state is not State.PENDING and not (
        found.state is State.APPROVED and fresh.state is State.DENIED
    ):
        msg = f"expected a pending approval, seen one that is {found.state}; let it be asked again"
        raise ApprovalError(msg, found.state)
    if found.subject != fresh.subject:
        msg = "what was shown is not what is asked; look at the request again, and decide anew"
        raise ApprovalError(msg, found.state)
    return _put(known, fresh), fresh


def used(known: All, subject: Subject, claim: str, now: Moment) -> tuple[All, Approval]:
    """Use up the approval of a subject; who has done so already may come back for it.

    Raises:
        ApprovalError: it has none that is good now, or another claim used it.

    """
    _current(known, subject)
    latest = next((each for each in reversed(known) if each.subject == subject), None)
    if latest is None:
        raise ApprovalError(*_nearest(known, subject))
    if latest.state is State.USED and latest.claim == claim:
        return known, latest
    if latest.state is not State.APPROVED:
        msg = f"expected an approval, seen one that is {latest.state}; {ADVICE[latest.state]}"
        raise ApprovalError(msg, latest.state)
    fresh = replace(latest, state=State.USED, since=now, claim=claim)
    return _put(known, fresh), fresh


ADVICE = {
    State.PENDING: "wait for a human",
    State.DENIED: "make another plan",
    State.EXPIRED: "ask again",
    State.STALE: "ask again",
    State.USED: "it was for one effect only",
}


def _put(known: All, fresh: Approval) -> All:
    return tuple(fresh if each.ident == fresh.ident else each for each in known)


def _current(known: All, subject: Subject) -> None:
    line = (subject.run, subject.fork)
    epochs = [each.subject.plan_epoch for each in known if each.subject.line == line]
    if (latest := max(epochs, default=0)) > subject.plan_epoch:
        msg = f"expected plan {latest}, seen plan {subject.plan_epoch}; an older one gets no word"
        raise ApprovalError(msg)


def _nearest(known: All, subject: Subject) -> tuple[str, State | None]:
    """Say what differs from the latest word on the same slot."""
    for each in reversed(known):
        if each.subject.place == subject.place:
            other = [
                name for name in BOUND if getattr(each.subject, name) != getattr(subject, name)
            ]
            return f"the last approval of this step has another {other[0]}; ask again", each.state
    return "expected an approval of this step, seen none; ask for one", None
