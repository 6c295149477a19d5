"""Which state of an approval may follow which: no clock, no file.

Each step takes the approvals as they are now, and returns them as they are after it.
"""

from __future__ import annotations

from dataclasses import replace

from runtimes.reference.gateway.approval_state import (
    All,
    Approval,
    ApprovalError,
    State,
    Subject,
)
from runtimes.reference.gateway.clock import Moment


BOUND = ("plan_epoch", "request_hash", "premise_hash")
"""What differs, when an approval of the same step is not this one."""
ADVICE = {
    State.PENDING: "wait for a human",
    State.DENIED: "make another plan",
    State.EXPIRED: "ask again",
    State.STALE: "ask again",
    State.USED: "it was for one effect only",
}


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


def decided(known: All, shown: Approval, word: Approval) -> tuple[All, Approval]:
    """Set ``word`` in the place of what was shown: an approval, or a denial of what is not used.

    Raises:
        ApprovalError: it is not open, or what was shown is not what is asked.

    """
    found = next((each for each in known if each.ident == shown.ident), None)
    if found is None or found.subject != shown.subject:
        msg = "what was shown is not what is asked; look at the request again, and decide anew"
        raise ApprovalError(msg)
    back = found.state is State.APPROVED and word.state is State.DENIED
    if found.state is not State.PENDING and not back:
        msg = f"expected a pending approval, seen one that is {found.state}; let it be asked again"
        raise ApprovalError(msg, found.state)
    return _put(known, word), word


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
