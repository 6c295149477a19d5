"""A human's word: for one request, on one state of the world, once.

An approval is bound to the hash of the request that was shown, the hash of the premises it rests
on, the plan epoch and the fork of the run.  Whatever differs in one of them needs a word of its
own.  It lasts so long on the clock of the machine, and not over a restart of it: nobody can tell
then how long ago it was given.

Using it names who uses it (the id of the effect).  The same one may ask again, because it may
have died before it knew; nobody else may.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from secrets import token_hex
from typing import Protocol

from runtimes.reference.gateway.approval_state import (
    All,
    Approval,
    ApprovalError,
    State,
    Subject,
)
from runtimes.reference.gateway.approval_steps import asked, decided, used
from runtimes.reference.gateway.clock import Moment, SystemClock, Watch


SECOND_NS = 1_000_000_000


class Store(Protocol):
    """Where approvals are kept; ``save`` is durable once it returns, and all or nothing."""

    def lock(self) -> AbstractContextManager[object]: ...
    def load(self) -> All: ...
    def save(self, approvals: All) -> None: ...


class Approvals:
    """All approvals of a gateway.

    The store is the only memory, and is locked for each step: the gateway and a human's command
    may be two processes.  A step that raises may be repeated: it was done, or it was not.
    """

    def __init__(self, store: Store, watch: Watch | None = None) -> None:
        """Work on a store."""
        self._store, self._watch = store, watch or Watch(SystemClock())

    def all(self) -> All:
        """Return all approvals as they are now."""
        return self._known(self._watch.now())

    def ask(self, subject: Subject, lasts_s: int) -> Approval:
        """Return the word on a subject, or the request of one, which waits for ``lasts_s``.

        Raises:
            ApprovalError: the plan is not the latest one of its run.

        """
        with self._store.lock():
            now = self._watch.now()
            fresh = Approval(
                ident=token_hex(8),
                subject=subject,
                state=State.PENDING,
                since=now,
                lasts_ns=lasts_s * SECOND_NS,
            )
            return self._save(*asked(self._known(now), fresh))

    def approve(self, shown: Approval, by: str, lasts_s: int) -> Approval:
        """Give the word of ``by`` to what was shown; it may be used for ``lasts_s``.

        Raises:
            ApprovalError: it is not pending, or what was shown is not what is asked.

        """
        return self._decide(shown, State.APPROVED, by, lasts_s)

    def deny(self, shown: Approval, by: str) -> Approval:
        """Refuse what was shown, or take back a word that is not used yet.

        Raises:
            ApprovalError: it is not open, or what was shown is not what is asked.

        """
        return self._decide(shown, State.DENIED, by, 0)

    def use(self, subject: Subject, claim: str) -> Approval:
        """Use up the approval of exactly this subject, for the effect that ``claim`` names.

        Once it returns, no other claim gets it, whatever crashes.

        Raises:
            ApprovalError: there is none that is good now, or another claim used it.

        """
        if not claim:
            msg = "expected the id of an effect, seen empty text; name who uses the approval"
            raise ApprovalError(msg)
        with self._store.lock():
            now = self._watch.now()
            return self._save(*used(self._known(now), subject, claim, now))

    def forget(self, run: str) -> None:
        """Drop all of a run that has ended; it must not come back."""
        with self._store.lock():
            kept = [each for each in self._store.load() if each.subject.run != run]
            self._store.save(tuple(kept))

    def _decide(self, shown: Approval, state: State, by: str, lasts_s: int) -> Approval:
        if not by:
            msg = "expected the name of a human, seen empty text; say who decides"
            raise ApprovalError(msg)
        with self._store.lock():
            now = self._watch.now()
            lasts_ns = lasts_s * SECOND_NS
            word = replace(shown, state=state, since=now, lasts_ns=lasts_ns, by=by, claim="")
            return self._save(*decided(self._known(now), shown, word))

    def _known(self, now: Moment) -> All:
        return tuple(each.at(now) for each in self._store.load())

    def _save(self, known: All, result: Approval) -> Approval:
        # Who waits asks again and again: what is known already costs no write.
        if known != self._store.load():
            self._store.save(known)
        return result
