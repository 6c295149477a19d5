"""A human's word on what may not happen without it: asked for, waited for, used once."""

from __future__ import annotations

import asyncio
import dataclasses

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from harness.effects import Json
from runtimes.reference.gateway.admissions import Admission
from runtimes.reference.gateway.approval import Approvals
from runtimes.reference.gateway.approval_file import ApprovalFileError
from runtimes.reference.gateway.approval_state import Approval, ApprovalError, State, Subject
from runtimes.reference.gateway.audit import Decision, Line
from runtimes.reference.gateway.errors import (
    AwaitingError,
    Reason,
    RefusedError,
    UnjudgedError,
)
from runtimes.reference.gateway.gate import BarredError
from runtimes.reference.gateway.journal import Journal
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.gateway.runs import Held
from runtimes.reference.resume.session import Wanted


@dataclass(slots=True)
class Review:
    """What is asked of humans, and what they have said."""

    approvals: Approvals
    journal: Journal
    redactor: Redactor
    shown: dict[str, dict[str, Json]] = field(default_factory=dict)
    """What is asked, by the id of the approval: as long as this process lives."""
    _decided: asyncio.Event = field(default_factory=asyncio.Event)
    """Replaced each time that a human has said something."""

    async def word(
        self, admission: Admission, held: Held, wanted: Wanted
    ) -> tuple[Wanted, Subject | None]:
        """Return a request with the name of who allowed it, once somebody has, if he must.

        Raises:
            AwaitingError: nobody has, for as long as the admission is patient.
            RefusedError: he said no, or what he said is used up.
            UnjudgedError: what was said cannot be had.

        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + admission.patience_s
        while True:
            decided = self._decided
            try:
                return self._approved(admission, held, wanted)
            except AwaitingError:
                if loop.time() >= until_s:
                    raise
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(until_s):
                        await decided.wait()

    def _approved(
        self, admission: Admission, held: Held, wanted: Wanted
    ) -> tuple[Wanted, Subject | None]:
        """Return a request with the name of who allowed it, if somebody must."""
        session = held.session
        if wanted.op not in admission.approvals or session.sealed(wanted) or held.closed:
            return wanted, None
        subject = Subject.of(session.carrier.log.run, wanted, session.facts.plan_epoch)
        try:
            word = self.approvals.ask(subject, admission.approval_s)
        except ApprovalError as error:
            raise RefusedError(Reason.UNAPPROVED, str(error)) from error
        except (ApprovalFileError, OSError) as error:
            msg = f"the approvals cannot be had: {error}"
            raise UnjudgedError(msg) from error
        if word.state is State.PENDING:
            self.shown[word.ident] = {
                "op": wanted.op,
                "target": wanted.target,
                **wanted.request,
            }
            raise AwaitingError(wanted.slot, word.ident)
        if word.state is State.DENIED:
            raise RefusedError(Reason.UNAPPROVED, f"{word.by} said no; make another plan")
        return dataclasses.replace(wanted, approved_by=word.by), subject

    def use(self, effect_id: str, request_hash: str, subject: Subject | None) -> None:
        """Use an approval up; without a subject, as recovery has none, one that was used already.

        Raises:
            BarredError: there is none for it.

        """
        try:
            if subject:
                self.approvals.use(subject, effect_id)
                return
            for word in self.approvals.all():
                if word.claim == effect_id and word.subject.request_hash == request_hash:
                    return
            why = "nobody who asks now has the approval that it was begun with"
        except ApprovalError as error:
            reused = error.state is State.USED
            raise BarredError(Reason.REUSED if reused else Reason.UNAPPROVED, str(error)) from error
        except (ApprovalFileError, OSError) as error:
            why = str(error)
        raise BarredError(Reason.UNAPPROVED, why)

    def decide(
        self, ident: str, request_hash: str, by: str, lasts_s: int, *, yes: bool
    ) -> Approval:
        """Say a human's word on what was shown to him.

        Raises:
            ApprovalError: it is not asked, or not that.
            ApprovalFileError, OSError: it was not written.
            UnjudgedError: the decision could not be written down, and does not count.

        """
        shown = next((one for one in self.approvals.all() if one.ident == ident), None)
        if shown is None or shown.subject.request_hash != request_hash:
            msg = f"nobody asks for {ident!a} with that request; list the approvals again"
            raise ApprovalError(msg)
        subject = shown.subject
        self.journal.note(
            Line(
                decision=Decision.APPROVAL,
                reason="approved" if yes else "denied",
                run=subject.run,
                slot=subject.slot,
                request_hash=request_hash,
                peer=by,
            )
        )
        said = self.approvals.approve(shown, by, lasts_s) if yes else self.approvals.deny(shown, by)
        self._decided.set()
        self._decided = asyncio.Event()
        return said

    def waiting(self) -> list[dict[str, Any]]:
        """Return all approvals, each with what is asked; that without credentials."""
        return [
            {
                "id": one.ident,
                "run": one.subject.run,
                "slot": one.subject.slot,
                "state": one.state.value,
                "by": one.by,
                "request_hash": one.subject.request_hash,
                "asks": self.redactor.redact(self.shown.get(one.ident)).value,
            }
            for one in self.approvals.all()
        ]
