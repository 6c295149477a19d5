"""The gateway: who asks, may he, was it done already, do it once, and write down all of that.

It has the credentials, the log and the clock; who asks has neither.  Each run is a session that
this process holds, taken over from whoever held it before, so that an agent may die at any moment
and leave nothing in doubt: only the death of the gateway can, and the next one settles it.
"""

from __future__ import annotations

import dataclasses

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field

from opentelemetry import trace

from harness.effects import Json
from runtimes.reference.effect_log.errors import (
    ContradictionError,
    DamagedError,
)
from runtimes.reference.effect_log.facts import Facts
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.effect_log.records import Approval as Level
from runtimes.reference.gateway.admissions import Admission, AdmissionError, Admissions
from runtimes.reference.gateway.approval import Approvals
from runtimes.reference.gateway.approval_state import Subject
from runtimes.reference.gateway.audit import Audit, Decision, Line
from runtimes.reference.gateway.clock import Moment, Watch
from runtimes.reference.gateway.errors import (
    Reason,
    RefusedError,
)
from runtimes.reference.gateway.gate import BarredError
from runtimes.reference.gateway.journal import Journal
from runtimes.reference.gateway.judges import Request as Asked
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.metrics import Metrics, TimedStore
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.gateway.review import Review
from runtimes.reference.gateway.revocation import Revocations
from runtimes.reference.gateway.rule import Rule
from runtimes.reference.gateway.runs import Held, Runs
from runtimes.reference.gateway.token import capability_ids
from runtimes.reference.gateway.warden import Permit, Warden
from runtimes.reference.resume.clock import Clock
from runtimes.reference.resume.errors import (
    DriftError,
    EscalatedError,
    PlanError,
    ResumeError,
)
from runtimes.reference.resume.session import Given, Wanted
from runtimes.reference.upstreams.base import (
    Order,
    Upstream,
)
from runtimes.reference.upstreams.world import WorldUpstream


class EndedError(ResumeError):
    """The run has ended: nothing new is done for it."""


@dataclass(frozen=True, slots=True)
class Pass:
    """With what a request was let in; it is looked at again when its call leaves."""

    permit: Permit
    given: Moment
    subject: Subject | None
    """What a human must have allowed."""


PASS: ContextVar[Pass | None] = ContextVar("PASS", default=None)
"""Of the request that this task carries out; recovery has none."""


@dataclass(slots=True)
class Gateway:
    """All runs of one log; ``connect`` returns the provider of a run.

    ``secret`` is what idempotency keys are made from, so that nobody else can guess one.
    """

    log: EffectLog
    admissions: Admissions
    approvals: Approvals
    audit: Audit
    keyring: Keyring
    watch: Watch
    clock: Clock
    connect: Callable[[str], Upstream]
    redactor: Redactor
    secret: bytes
    metrics: Metrics = field(default_factory=Metrics)
    tracer: trace.Tracer = field(default_factory=lambda: trace.get_tracer("bakeoff.gateway"))
    revocations: Revocations = field(default_factory=Revocations)
    warden: Warden = field(init=False)
    journal: Journal = field(init=False)
    runs: Runs = field(init=False)
    review: Review = field(init=False)
    rule: Rule = field(init=False)

    def __post_init__(self) -> None:
        """Judge by what is revoked here."""
        self.log.store = TimedStore(self.log.store, self.metrics)
        self.warden = Warden(self.keyring, self.revocations)
        self.journal = Journal(self.audit, self.metrics)
        self.review = Review(self.approvals, self.journal, self.redactor)
        self.runs = Runs(
            log=self.log,
            admissions=self.admissions,
            keyring=self.keyring,
            watch=self.watch,
            clock=self.clock,
            connect=self.connect,
            redactor=self.redactor,
            secret=self.secret,
            metrics=self.metrics,
            tracer=self.tracer,
            revocations=self.revocations,
            allow=self._allow,
            leaked=self._leaked,
        )
        self.rule = Rule(self.admissions, self.runs, self.journal, self.keyring, self.revocations)

    def admitted(self, peer: str, run: str) -> Admission:
        """Return the admission of a run, for which this peer may act.

        Raises:
            AdmissionError: nobody admitted the run, or what it may do was ended.
            RefusedError: another peer acts for it.

        """
        admission = self.admissions.of(run)
        if peer != admission.peer:
            why = f"expected the peer {admission.peer} of {admission.run}, saw {peer}"
            raise RefusedError(Reason.WRONG_PEER, why)
        return admission

    async def token(self, peer: str, run: str) -> str:
        """Return the token of a run to the peer that acts for it, to be narrowed for a child.

        Raises:
            AdmissionError: nobody admitted the run.
            RefusedError: another peer acts for it.
            TroubleError: the run cannot be taken over now.

        """
        line = Line(decision=Decision.PERMIT, op="token", run=run, peer=peer)
        with self.journal.judged(line), self.runs.failing("the token", run):
            held = await self.runs.rooted(self.admitted(peer, run))
            self.journal.note(dataclasses.replace(line, capability=capability_ids(held.token)[-1]))
            return held.token

    async def perform(
        self, peer: str, wanted: Wanted, run: str, *, token: str = "", targets: Sequence[str] = ()
    ) -> Given:
        """Do what a peer asks for a run, once, if its token allows it.

        Without a ``token``, that of the run is taken.  ``targets`` is all that it acts on, if that
        is more than one.

        Raises:
            RefusedError: the token does not allow it.
            AdmissionError: nobody admitted the run.
            AwaitingError: a human must allow it first.
            EndedError: the run has ended, or waits for a human.
            PlanError: the run's program has no such slot; nothing more is done for it.
            DamagedError: the run's log cannot be believed; nothing more is done for it.
            BarredError: it was allowed, and is not any more.
            ResumeError: it was not done; see ``Session.perform``.
            ConflictError: the slot has another request.
            UnknownOperationError: nobody offers that.
            TroubleError: the log or the provider failed; it says what is known of the effect.
            UnjudgedError: there is no verdict; nothing was done.

        """
        line = Line(
            decision=Decision.PERMIT,
            run=run,
            slot=wanted.slot,
            op=wanted.op,
            target=wanted.target,
            request_hash=wanted.request_hash,
            peer=peer,
        )
        with self.journal.judged(line), self.runs.failing(wanted.slot, run):
            admission = self.admitted(peer, run)
            self._no_secret(run, _texts(wanted))
            root = await self.runs.rooted(admission)
            held = root if run == admission.run else await self.runs.hold(run)
            now = self.watch.now()
            for target in targets or (wanted.target,):
                asked = Asked(
                    run=admission.run,
                    peer=peer,
                    fence=root.session.facts.epoch,
                    op=wanted.op,
                    target=target,
                    args=wanted.args,
                )
                with self.metrics.check.time():
                    permit = self.warden.check(token or root.token, asked, now)
            _within(admission, wanted.premises)
            _in_plan(admission, root, held, wanted.slot)
            wanted = dataclasses.replace(wanted, capability=permit.capability)
            wanted, subject = await self.review.word(admission, held, wanted)
            self.journal.note(dataclasses.replace(line, capability=permit.capability))
            mine = PASS.set(Pass(permit, now, subject))
            try:
                with self.runs.span(held, wanted):
                    return await self._carry_out(admission, held, wanted)
            finally:
                PASS.reset(mine)

    async def announce(self, peer: str, run: str, wanted: Wanted) -> None:
        """Have the history of the harness's world say that a worker has asked.

        Raises:
            TroubleError: it cannot be told; nothing was done.

        """
        attempt = {name: wanted.context.get(name) for name in ("incarnation", "seq")}
        if self.redactor.leaks([wanted.slot, {**attempt}]):
            return  # ``perform`` refuses it
        with (
            suppress(AdmissionError, RefusedError, DamagedError),
            self.runs.failing(wanted.slot, run),
        ):
            self.admitted(peer, run)
            world = (await self.runs.hold(run)).world
            if isinstance(world, WorldUpstream):
                await world.asked(run, attempt, wanted.slot)

    async def report(self, peer: str, run: str, body: Mapping[str, Json]) -> None:
        """Tell the harness's world what a worker reports of its phases; it may be held there.

        Raises:
            AdmissionError: nobody admitted the run.
            RefusedError: another peer acts for it, or a credential stands in it.
            UpstreamError, EffectLogError, ResumeError: it cannot be told now.

        """
        with self.journal.judged(Line(decision=Decision.PERMIT, op="at", run=run, peer=peer)):
            self.admitted(peer, run)
            self._no_secret(run, {**body})
        world = (await self.runs.hold(run)).world
        if isinstance(world, WorldUpstream):
            await world.report({**body, "cell": world.cell})

    async def _carry_out(self, admission: Admission, held: Held, wanted: Wanted) -> Given:
        session = held.session
        if why := held.closed:
            if given := session.sealed(wanted):
                return given
            if session.carrier.upstream.contract(wanted.op, wanted.target).effect.writes:
                raise EndedError(why)
            return await session.glance(wanted)
        try:
            return await session.perform(wanted)
        except ContradictionError as error:
            if ended := self.revocations.ended((wanted.capability,)):
                why = f"{wanted.slot}: capability {ended[:16]}... has ended"
                raise BarredError(Reason.REVOKED, why) from error
            raise
        except BarredError as error:
            if error.reason is Reason.REUSED:
                self.metrics.escalations.inc()
                held.stopped = str(error)
            raise
        except DriftError as drift:
            if admission.replans:
                await session.replan(drift)
            else:
                await session.end("escalated", why=str(drift))
            raise
        except EscalatedError as error:
            if not held.stopped:
                self.metrics.escalations.inc()
            # Who replans knows what rests on it; of a program that goes on regardless nobody does.
            held.stopped = "" if admission.replans else str(error)
            raise

    def _leaked(self, run: str, canaries: frozenset[str]) -> None:
        self.rule.leaked(run, canaries)

    def _no_secret(self, run: str, said: Json) -> None:
        """Refuse what a credential stands in: who asks has none by right."""
        found = self.redactor.redact(said)
        if found.names:
            if found.canaries:
                self.rule.leaked(run, found.canaries)
            names = ", ".join(sorted(found.names))
            raise RefusedError(Reason.LEAK, f"expected no credential, saw {names}; leave it out")

    def _allow(self, run: str, facts: Facts, order: Order) -> tuple[str, ...]:
        """Let a call go, under the capabilities that are returned, if it is still allowed.

        Raises:
            BarredError: it is not.

        """
        passed = PASS.get()
        try:
            admission = self.admissions.of(run)
            if passed:
                self.warden.confirm(passed.permit, passed.given, self.watch.now())
        except AdmissionError as error:
            raise BarredError(Reason.WITHDRAWN, f"{order.slot}: {error}") from error
        except RefusedError as error:
            raise BarredError(error.reason, f"{order.slot}: {error}") from error
        tried = facts.effects.get(order.slot)
        if tried and tried.intent.approval is Level.HUMAN:
            subject = passed.subject if passed else None
            self.review.use(tried.intent.effect_id, tried.intent.request_hash, subject)
        elif order.op in admission.approvals and not (passed and passed.subject):
            raise BarredError(Reason.UNAPPROVED, f"{order.slot}: nobody has allowed it")
        return passed.permit.capabilities if passed else ()

    async def close(self) -> None:
        """Wait for what is being written, and end."""
        await self.rule.close()
        self.runs.close()


def _texts(wanted: Wanted) -> Json:
    """Return all that a request has of its own words."""
    return [wanted.slot, wanted.target, {**wanted.args}, {**wanted.premises}, {**wanted.context}]


def _within(admission: Admission, premises: Mapping[str, str]) -> None:
    """Refuse premises of resources that the run may do nothing with: it would learn of them.

    Raises:
        RefusedError: there is one.

    """
    for resource in premises:
        if not any(grant.names(grant.op, resource) for grant in admission.grants):
            why = "expected a premise to be a target that is granted, saw another; leave it out"
            raise RefusedError(Reason.OUT_OF_SCOPE, why)


def _in_plan(admission: Admission, root: Held, held: Held, slot: str) -> None:
    """Stop a run whose program has a slot that it was not admitted with.

    Under another name, what was done would be done again.

    Raises:
        PlanError: it has.

    """
    if admission.slots and slot not in admission.slots:
        msg = (
            f"{slot} is no step of the program that {admission.run} was admitted with: bring that "
            "program back, or admit the run again with this one's steps"
        )
        root.stopped = held.stopped = msg
        raise PlanError(msg)
