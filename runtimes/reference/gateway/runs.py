"""The runs in this process's hands: taken over, with a token each, and let go of.

Each is a session that is taken over from whoever held it before.  What is known of an effect is
what is durable of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry import trace

from harness.effects import Json
from runtimes.reference.effect_log.errors import (
    ConflictError,
    DamagedError,
    DoubtError,
    EffectLogError,
    FencedError,
)
from runtimes.reference.effect_log.facts import Facts, Standing
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.effect_log.reading import recover
from runtimes.reference.explain import document
from runtimes.reference.gateway.admissions import Admission, Admissions
from runtimes.reference.gateway.clean import CleanUpstream
from runtimes.reference.gateway.clock import Watch
from runtimes.reference.gateway.errors import Known, TroubleError
from runtimes.reference.gateway.gate import BarredError, Gate
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.metrics import Metrics
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.gateway.revocation import Revocations
from runtimes.reference.gateway.said import reason
from runtimes.reference.gateway.token import capability_ids, mint
from runtimes.reference.resume.clock import Clock
from runtimes.reference.resume.recovery import take_over
from runtimes.reference.resume.session import Session, Wanted, standing
from runtimes.reference.upstreams.base import (
    Order,
    UnknownOperationError,
    Upstream,
    UpstreamError,
)
from runtimes.reference.upstreams.world import HungError


KNOWN: Mapping[Standing | None, Known] = {
    None: Known.NOT_DONE,
    Standing.NOT_DONE: Known.NOT_DONE,
    Standing.DONE: Known.DONE,
    Standing.IN_DOUBT: Known.IN_DOUBT,
    Standing.UNKNOWN: Known.IN_DOUBT,
}


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

    @property
    def closed(self) -> str:
        """Return why nothing new is done for it: it has ended, or waits for a human."""
        terminal = self.session.facts.terminal
        if terminal:
            return f"the run is {terminal.status}: {terminal.why}"
        return self.stopped


@dataclass(slots=True, kw_only=True)
class Runs:
    """All runs of one log; ``connect`` returns the provider of a run.

    ``allow`` has the last word on each call, ``leaked`` is told of canaries.  ``secret`` is what
    idempotency keys are made from, so that nobody else can guess one.
    """

    log: EffectLog
    admissions: Admissions
    keyring: Keyring
    watch: Watch
    clock: Clock
    connect: Callable[[str], Upstream]
    redactor: Redactor
    secret: bytes
    metrics: Metrics
    tracer: trace.Tracer
    revocations: Revocations
    allow: Callable[[str, Facts, Order], tuple[str, ...]]
    leaked: Callable[[str, frozenset[str]], None]
    held: dict[str, Held] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    """What is wrong with the logs of runs: nothing is done for them before a human has looked."""
    _taking: dict[str, asyncio.Task[Held]] = field(default_factory=dict)
    _left: list[tuple[str, Gate]] = field(default_factory=list)
    """Of runs that were let go of: calls of theirs may be out."""

    async def hold(self, run: str) -> Held:
        """Return a run that this process holds; the first time, take it over."""
        if found := self.held.get(run):
            return found
        if run not in self._taking:
            self._taking[run] = task = asyncio.ensure_future(self._take(run))
            task.add_done_callback(lambda _: self._taking.pop(run, None))
        return await asyncio.shield(self._taking[run])

    async def rooted(self, admission: Admission) -> Held:
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
        held.token = self.made(admission, held.session.facts.epoch)
        for capability in capability_ids(held.token):
            self.revocations.issue(admission.run, capability)

    def made(self, admission: Admission, epoch: int) -> str:
        """Return a token for what a run was admitted to.

        Raises:
            GrantError: no token can say that.

        """
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
            lambda order: self.allow(run, log.facts, order),
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

    def drop(self, run: str) -> None:
        """Let go of a run whose log cannot go on in these hands; the next call takes it over."""
        if held := self.held.pop(run, None):
            held.span.end()
            self._left.append((run, held.gate))
        self.metrics.sessions.set(len(self.held))

    def mint_all(self) -> None:
        """Make all tokens anew, with the newest key."""
        for held in self.held.values():
            if held.admission:
                self._mint(held, held.admission)

    @contextmanager
    def failing(self, slot: str, run: str) -> Iterator[None]:
        """Say of what failed what is known of the effect: what is durable, or in the way there."""
        try:
            yield
        except (UnknownOperationError, ConflictError, BarredError, HungError):
            raise
        except DamagedError as error:
            if run not in self.damaged:
                self.metrics.escalations.inc()
            self.damaged[run] = str(error)
            self.drop(run)
            raise
        except (UpstreamError, EffectLogError) as error:
            known = self.known(run, slot)
            if isinstance(error, FencedError | DoubtError):
                self.drop(run)
            raise TroubleError(slot, known, error) from error

    def known(self, run: str, slot: str) -> Known:
        """Return what is known of the effect of a slot: what is durable of it, never a guess."""
        held = self.held.get(run)
        try:
            facts = held.session.facts if held else self._read(run)
        except EffectLogError:
            return Known.IN_DOUBT
        return KNOWN[standing(facts, slot)]

    def _read(self, run: str) -> Facts:
        return recover(self.log.store, self.log.anchor, run).facts

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
        held = self.held.get(run)
        facts = held.session.facts if held else self._read(run)
        return document(run, facts, self.clock.now_ms())

    def key_of(self, effect_id: str) -> str:
        """Return the idempotency key of an effect."""
        return hmac.new(self.secret, effect_id.encode(), hashlib.sha256).hexdigest()[:40]

    def family(self, run: str) -> list[str]:
        """Return a run and its children, as far as they are held."""
        return [run, *(each for each in self.held if each.startswith(f"{run}."))]

    def flying(self, run: str, capability: str = "") -> dict[str, Sequence[str]]:
        """Return the slots whose calls are out, by run; those under a capability only."""
        self._left = [(each, gate) for each, gate in self._left if gate.flying]
        found: dict[str, set[str]] = {}
        for each, gate in (*((each, held.gate) for each, held in self.held.items()), *self._left):
            if each == run or each.startswith(f"{run}."):
                found.setdefault(each, set()).update(gate.slots(capability))
        return {each: sorted(slots) for each, slots in found.items() if slots}

    @contextmanager
    def span(self, held: Held, wanted: Wanted) -> Iterator[None]:
        """Trace an effect within its run."""
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

    def close(self) -> None:
        """Let go of all runs."""
        for run in [*self.held]:
            self.drop(run)


def _unknown(facts: Facts) -> str:
    """Return what only a human can say of a run's effects."""
    unknown = [slot for slot, tried in facts.effects.items() if tried.standing is Standing.UNKNOWN]
    return f"nobody knows whether {', '.join(unknown)} was done" if unknown else ""
