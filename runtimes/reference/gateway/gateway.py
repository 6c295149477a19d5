"""The gateway: who asks, may he, was it done already, do it once, and write down all of that.

It has the credentials, the log and the clock; who asks has neither.  Each run is a session that
this process holds, taken over from whoever held it before, so that an agent may die at any moment
and leave nothing in doubt: only the death of the gateway can, and the next one settles it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import hmac

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry import trace

from harness.effects import Json
from runtimes.reference.effect_log.anchor import Anchor
from runtimes.reference.effect_log.errors import (
    ConflictError,
    ContradictionError,
    DamagedError,
    DoubtError,
    EffectLogError,
    FencedError,
)
from runtimes.reference.effect_log.facts import Facts, Standing
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.effect_log.reading import recover
from runtimes.reference.effect_log.records import Approval as Level
from runtimes.reference.effect_log.records import Revoke
from runtimes.reference.effect_log.store import Store
from runtimes.reference.explain import document
from runtimes.reference.gateway.admissions import Admission, AdmissionError, Admissions
from runtimes.reference.gateway.approval import Approvals
from runtimes.reference.gateway.approval_file import ApprovalFileError
from runtimes.reference.gateway.approval_state import Approval, ApprovalError, State, Subject
from runtimes.reference.gateway.audit import Audit, Decision, Line
from runtimes.reference.gateway.clean import CleanUpstream
from runtimes.reference.gateway.clock import Moment, Watch
from runtimes.reference.gateway.errors import (
    AwaitingError,
    Known,
    Reason,
    RefusedError,
    TroubleError,
    UnjudgedError,
)
from runtimes.reference.gateway.gate import BarredError, Gate
from runtimes.reference.gateway.grant import INT64
from runtimes.reference.gateway.judges import Request as Asked
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.metrics import Metrics, TimedStore
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.gateway.revocation import Revocations
from runtimes.reference.gateway.said import ERRORS, reason
from runtimes.reference.gateway.token import capability_ids, mint, read
from runtimes.reference.gateway.warden import Permit, Warden
from runtimes.reference.resume.clock import Clock
from runtimes.reference.resume.errors import (
    DriftError,
    EscalatedError,
    PlanError,
    ResumeError,
)
from runtimes.reference.resume.recovery import take_over
from runtimes.reference.resume.session import Given, Session, Wanted, standing
from runtimes.reference.upstreams.base import (
    Order,
    UnknownOperationError,
    Upstream,
    UpstreamError,
)
from runtimes.reference.upstreams.world import HungError, WorldUpstream


KNOWN: Mapping[Standing | None, Known] = {
    None: Known.NOT_DONE,
    Standing.NOT_DONE: Known.NOT_DONE,
    Standing.DONE: Known.DONE,
    Standing.IN_DOUBT: Known.IN_DOUBT,
    Standing.UNKNOWN: Known.IN_DOUBT,
}


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


@dataclass(frozen=True, slots=True)
class Ended:
    """What was revoked, and the slots by run whose calls were out by then and may be done yet."""

    capabilities: tuple[str, ...]
    in_flight: Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Held:
    """A run in this process's hands; one that was not admitted itself has no token."""

    session: Session
    gate: Gate
    world: Upstream
    """Its provider, unredacted."""
    span: trace.Span
    admission: Admission | None = None
    """That of which the token was made."""
    token: str = ""
    stopped: str = ""
    """Why nothing new is done for it before a human has looked; empty while all is well."""


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
    held: dict[str, Held] = field(default_factory=dict)
    shown: dict[str, dict[str, Json]] = field(default_factory=dict)
    """What is asked of a human, by the id of the approval: as long as this process lives."""
    damaged: dict[str, str] = field(default_factory=dict)
    """What is wrong with the logs of runs: nothing is done for them before a human has looked."""
    _decided: asyncio.Event = field(default_factory=asyncio.Event)
    """Replaced each time that a human has said something."""
    _taking: dict[str, asyncio.Task[Held]] = field(default_factory=dict)
    _writing: set[asyncio.Task[None]] = field(default_factory=set)
    _left: list[tuple[str, Gate]] = field(default_factory=list)
    """Of runs that were let go of: calls of theirs may be out."""

    def __post_init__(self) -> None:
        """Judge by what is revoked here."""
        self.warden = Warden(self.keyring, self.revocations)
        self.log.store = TimedStore(self.log.store, self.metrics)

    # What peers ask ---------------------------------------------------------------------------

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
        with self._audited(line), self._failing("the token", run):
            held = await self._rooted(self.admitted(peer, run))
            self._note(dataclasses.replace(line, capability=capability_ids(held.token)[-1]))
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
        with self._audited(line), self._failing(wanted.slot, run):
            admission = self.admitted(peer, run)
            self._no_secret(run, _texts(wanted))
            root = await self._rooted(admission)
            held = root if run == admission.run else await self.hold(run)
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
            _in_plan(admission, root, held, wanted.slot)
            wanted = dataclasses.replace(wanted, capability=permit.capability)
            wanted, subject = await self._word(admission, held, wanted)
            self._note(dataclasses.replace(line, capability=permit.capability))
            mine = PASS.set(Pass(permit, now, subject))
            try:
                with self._span(held, wanted):
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
            self._failing(wanted.slot, run),
        ):
            self.admitted(peer, run)
            world = (await self.hold(run)).world
            if isinstance(world, WorldUpstream):
                await world.asked(run, attempt, wanted.slot)

    async def report(self, peer: str, run: str, body: Mapping[str, Json]) -> None:
        """Tell the harness's world what a worker reports of its phases; it may be held there.

        Raises:
            AdmissionError: nobody admitted the run.
            RefusedError: another peer acts for it, or a credential stands in it.
            UpstreamError, EffectLogError, ResumeError: it cannot be told now.

        """
        with self._audited(Line(decision=Decision.PERMIT, op="at", run=run, peer=peer)):
            self.admitted(peer, run)
            self._no_secret(run, {**body})
        world = (await self.hold(run)).world
        if isinstance(world, WorldUpstream):
            await world.report({**body, "cell": world.cell})

    async def _carry_out(self, admission: Admission, held: Held, wanted: Wanted) -> Given:
        session = held.session
        if why := _closed(held):
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

    @contextmanager
    def _audited(self, line: Line) -> Iterator[None]:
        """Write down why it was refused, if it was."""
        try:
            yield
        except ERRORS as error:
            self._note(dataclasses.replace(line, decision=Decision.REFUSAL, reason=reason(error)))
            raise

    def _note(self, line: Line) -> None:
        named = line.decision in {Decision.REFUSAL, Decision.APPROVAL}
        self.metrics.decisions.labels(line.decision, line.reason if named else "").inc()
        self.audit.write(line)

    @contextmanager
    def _failing(self, slot: str, run: str) -> Iterator[None]:
        """Say of what failed what is known of the effect: what is durable, or in the way there."""
        try:
            yield
        except (UnknownOperationError, ConflictError, BarredError, HungError):
            raise
        except DamagedError as error:
            if run not in self.damaged:
                self.metrics.escalations.inc()
            self.damaged[run] = str(error)
            self._drop(run)
            raise
        except (UpstreamError, EffectLogError) as error:
            known = self.known(run, slot)
            if isinstance(error, FencedError | DoubtError):
                self._drop(run)
            raise TroubleError(slot, known, error) from error

    def known(self, run: str, slot: str) -> Known:
        """Return what is known of the effect of a slot: what is durable of it, never a guess."""
        held = self.held.get(run)
        try:
            facts = held.session.facts if held else recover(*self._kept(), run).facts
        except EffectLogError:
            return Known.IN_DOUBT
        return KNOWN[standing(facts, slot)]

    def _kept(self) -> tuple[Store, Anchor]:
        return self.log.store, self.log.anchor

    def _no_secret(self, run: str, said: Json) -> None:
        """Refuse what a credential stands in: who asks has none by right."""
        found = self.redactor.redact(said)
        if found.names:
            if found.canaries:
                self.leaked(run, found.canaries)
            names = ", ".join(sorted(found.names))
            raise RefusedError(Reason.LEAK, f"expected no credential, saw {names}; leave it out")

    async def _word(
        self, admission: Admission, held: Held, wanted: Wanted
    ) -> tuple[Wanted, Subject | None]:
        """Return what ``_approved`` does, once a human has said something, if he must."""
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
        if wanted.op not in admission.approvals or session.sealed(wanted) or _closed(held):
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

    def _allow(self, run: str, facts: Facts, order: Order) -> tuple[str, ...]:
        """Let a call go, under the capabilities that are returned, if it is still allowed.

        Raises:
            BarredError: it is not.

        """
        passed = PASS.get()
        try:
            self.admissions.of(run)
            if passed:
                self.warden.confirm(passed.permit, passed.given, self.watch.now())
        except AdmissionError as error:
            raise BarredError(Reason.WITHDRAWN, f"{order.slot}: {error}") from error
        except RefusedError as error:
            raise BarredError(error.reason, f"{order.slot}: {error}") from error
        tried = facts.effects.get(order.slot)
        if tried and tried.intent.approval is Level.HUMAN:
            self._use(tried.intent.effect_id, tried.intent.request_hash, passed)
        return passed.permit.capabilities if passed else ()

    def _use(self, effect_id: str, request_hash: str, passed: Pass | None) -> None:
        """Use an approval up; recovery may repeat what used one already."""
        try:
            if passed and passed.subject:
                self.approvals.use(passed.subject, effect_id)
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

    # Runs -------------------------------------------------------------------------------------

    async def hold(self, run: str) -> Held:
        """Return a run that this process holds; the first time, take it over."""
        if found := self.held.get(run):
            return found
        if run not in self._taking:
            self._taking[run] = task = asyncio.ensure_future(self._take(run))
            task.add_done_callback(lambda _: self._taking.pop(run, None))
        return await asyncio.shield(self._taking[run])

    async def _rooted(self, admission: Admission) -> Held:
        """Return the admitted run itself, which has the token for all of its children."""
        held = await self.hold(admission.run)
        if held.admission != admission:
            self._issue(held, admission)
        return held

    def _issue(self, held: Held, admission: Admission) -> None:
        """Make the run's token of what it was admitted to; the one before it ends."""
        self.revocations.revoke_run(admission.run)
        self._mint(held, admission)
        held.stopped = "" if admission.replans else _unknown(held.session.facts)

    def _mint(self, held: Held, admission: Admission) -> None:
        held.admission = admission
        held.token = self._made(admission, held.session.facts.epoch)
        for capability in capability_ids(held.token):
            self.revocations.issue(admission.run, capability)

    def _made(self, admission: Admission, epoch: int) -> str:
        return mint(
            self.keyring,
            run=admission.run,
            epoch=epoch,
            peer=admission.peer,
            grants=admission.grants,
            issued_at=self.watch.now(),
            ttl_s=admission.ttl_s,
        )

    async def _take(self, run: str) -> Held:
        admission, world = self.admissions.of(run), self.connect(run)
        log = self.log.open(run)
        gate = Gate(
            CleanUpstream(world, self.redactor, self.leaked),
            lambda order: self._allow(run, log.facts, order),
            self.metrics,
        )
        self.revocations.revoke(*log.facts.revoked)
        session = await take_over(log, gate, self.clock, self.log.actor, self.key_of)
        self.revocations.revoke(*session.facts.revoked)
        span = self.tracer.start_span("bakeoff.run", attributes={"bakeoff.run": run})
        held = self.held[run] = Held(session, gate, world, span)
        held.stopped = "" if admission.replans else _unknown(session.facts)
        if held.stopped:
            self.metrics.escalations.inc()
        self.metrics.sessions.set(len(self.held))
        return held

    def _drop(self, run: str) -> None:
        """Let go of a run whose log cannot go on in these hands; the next call takes it over."""
        if held := self.held.pop(run, None):
            held.span.end()
            self._left.append((run, held.gate))
        self.metrics.sessions.set(len(self.held))

    @contextmanager
    def _span(self, held: Held, wanted: Wanted) -> Iterator[None]:
        attributes = {"bakeoff.slot": wanted.slot, "bakeoff.op": wanted.op}
        with self.tracer.start_as_current_span(
            "bakeoff.effect",
            context=trace.set_span_in_context(held.span),
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("bakeoff.reason", reason(error))
                raise

    async def close(self) -> None:
        """Wait for what is being written, and end."""
        await asyncio.gather(*self._writing, return_exceptions=True)
        for run in [*self.held]:
            self._drop(run)

    def status(self, run: str) -> tuple[str, str]:
        """Return how a run stands here, and why: escalated, refused, or nothing to say."""
        held = self.held.get(run)
        terminal = held.session.facts.terminal if held else None
        if terminal:
            return terminal.status, terminal.why
        stopped = held.stopped if held else self.damaged.get(run, "")
        if why := self.admissions.withdrawn(run) or stopped:
            return "escalated", why
        return "", ""

    def explain(self, run: str) -> dict[str, Json]:
        """Return what an operator is told of a run; nothing is taken over or changed by it.

        Raises:
            EffectLogError: its log cannot be believed.

        """
        held, log = self.held.get(run), self.log
        facts = held.session.facts if held else recover(log.store, log.anchor, run).facts
        return document(run, facts, self.clock.now_ms())

    def key_of(self, effect_id: str) -> str:
        """Return the idempotency key of an effect."""
        return hmac.new(self.secret, effect_id.encode(), hashlib.sha256).hexdigest()[:40]

    # What operators say -----------------------------------------------------------------------

    def admit(self, admissions: Sequence[Admission], peer: str) -> None:
        """Let runs act, from their next call on.

        Raises:
            GrantError: no token can say what one of them allows; none of them counts.
            OSError: it was not written, and does not count.
            UnjudgedError: the decision could not be written down, and does not count.

        """
        for one in admissions:
            self._made(one, INT64 - 1)
        for one in admissions:
            self._note(Line(decision=Decision.ADMISSION, run=one.run, peer=peer))
        self.admissions.admit(admissions)

    async def revoke(self, run: str, by: str, why: str) -> Ended:
        """End what a run and its children may do, until it is admitted again.

        Once this returns, no call of theirs begins but those that are said to be out.

        Raises:
            OSError, EffectLogError: it is in force in this process, and not durable.
            UnjudgedError: the same; the decision could not be written down.

        """
        ended = self._end(run, by, why)
        await self._record(run, ended, by, why)
        return ended

    async def revoke_token(self, text: str, by: str, why: str) -> tuple[str, Ended]:
        """End a token and what is narrowed from it; return its run too.

        Raises:
            RefusedError: it is no token of this gateway.
            EffectLogError: it is in force in this process, and not durable.
            UnjudgedError: the same; the decision could not be written down.

        """
        token = read(text, self.keyring)
        run, last = token.root.run, token.ids[-1]
        self.revocations.revoke_token(token.ids)
        ended = Ended((last,), self._flying(run, last))
        self._note(
            Line(decision=Decision.REVOCATION, reason=why, run=run, capability=last, peer=by)
        )
        await self._record(run, ended, by, why)
        return run, ended

    def _end(self, run: str, by: str, why: str) -> Ended:
        """End what a run may do; all that can fail comes after it is in force."""
        issued = [self.revocations.revoke_run(each) for each in self._family(run)]
        for held in (self.held[each] for each in self._family(run) if each in self.held):
            held.admission = None  # admitted again, even to the same, it has another token
        ended = Ended(tuple(one for each in issued for one in each), self._flying(run))
        self.admissions.withdraw(run, by, why)
        self._note(Line(decision=Decision.REVOCATION, reason=why, run=run, peer=by))
        return ended

    async def _record(self, run: str, ended: Ended, by: str, why: str) -> None:
        held = self.held.get(run)
        if held and ended.capabilities:
            record = Revoke(capabilities=ended.capabilities, by=by, why=why)
            try:
                await held.session.carrier.log.append(record)
            except (FencedError, DoubtError):
                self._drop(run)
                raise

    def _family(self, run: str) -> list[str]:
        """Return a run and its children, as far as they are held."""
        return [run, *(each for each in self.held if each.startswith(f"{run}."))]

    def _flying(self, run: str, capability: str = "") -> dict[str, Sequence[str]]:
        """Return the slots whose calls are out, by run; those under a capability only."""
        self._left = [(each, gate) for each, gate in self._left if gate.flying]
        found: dict[str, set[str]] = {}
        for each, gate in (*((each, held.gate) for each, held in self.held.items()), *self._left):
            if each == run or each.startswith(f"{run}."):
                found.setdefault(each, set()).update(gate.slots(capability))
        return {each: sorted(slots) for each, slots in found.items() if slots}

    def leaked(self, run: str, canaries: frozenset[str]) -> None:
        """End what a run may do, because a canary was on its way out."""
        by, why = "the gateway", f"canary {', '.join(sorted(canaries))} was on its way out"
        with suppress(AdmissionError):  # somebody was faster
            root = self.admissions.of(run).run
            with suppress(OSError, UnjudgedError):  # it is in force, here at least
                ended = self._end(root, by, why)
                task = asyncio.ensure_future(self._record(root, ended, by, why))
                self._writing.add(task)
                task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # the withdrawal is durable by itself

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
        self._note(
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

    def rotate(self, folder: Path, by: str) -> int:
        """Sign with a new root key from now on, and return its id; the older ones stay good.

        Raises:
            OSError: it was not saved, and does not count.
            UnjudgedError: the decision could not be written down, and does not count.

        """
        self._note(
            Line(decision=Decision.ROTATION, reason=f"key {self.keyring.newest + 1}", peer=by)
        )
        newest = self.keyring.rotate(folder)
        self._mint_all()
        return newest

    def retire(self, key: int, folder: Path, by: str) -> None:
        """Refuse what an older root key has signed.

        Raises:
            KeysError: there is no such key, or it signs.
            OSError, UnjudgedError: it is in force in this process, and not durable.

        """
        self.keyring.retire(key)
        self._mint_all()
        self._note(Line(decision=Decision.ROTATION, reason=f"without key {key}", peer=by))
        self.keyring.save(folder)

    def _mint_all(self) -> None:
        for held in self.held.values():
            if held.admission:
                self._mint(held, held.admission)


def _texts(wanted: Wanted) -> Json:
    """Return all that a request has of its own words."""
    return [wanted.slot, wanted.target, {**wanted.args}, {**wanted.premises}, {**wanted.context}]


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


def _closed(held: Held) -> str:
    terminal = held.session.facts.terminal
    if terminal:
        return f"the run is {terminal.status}: {terminal.why}"
    return held.stopped


def _unknown(facts: Facts) -> str:
    """Return what only a human can say of a run's effects."""
    unknown = [slot for slot, tried in facts.effects.items() if tried.standing is Standing.UNKNOWN]
    return f"nobody knows whether {', '.join(unknown)} was done" if unknown else ""
