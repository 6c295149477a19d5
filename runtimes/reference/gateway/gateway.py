"""The gateway: who asks, may he, was it done already, do it once, and write down all of that.

It has the credentials, the log and the clock; who asks has neither.  Each run is a session that
this process holds, taken over from whoever held it before, so that an agent may die at any moment
and leave nothing in doubt: only the death of the gateway can, and the next one settles it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.effects import Json
from runtimes.reference.effect_log.errors import DoubtError, FencedError
from runtimes.reference.effect_log.facts import Facts, Standing
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.effect_log.reading import recover
from runtimes.reference.effect_log.records import Revoke
from runtimes.reference.explain import document
from runtimes.reference.gateway.admissions import Admission, Admissions
from runtimes.reference.gateway.clean import CleanUpstream
from runtimes.reference.gateway.clock import Watch
from runtimes.reference.gateway.judges import Request as Asked
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.gateway.revocation import Revocations
from runtimes.reference.gateway.token import capability_ids, mint
from runtimes.reference.gateway.warden import Warden
from runtimes.reference.resume.clock import Clock
from runtimes.reference.resume.errors import DriftError, EscalatedError, ResumeError
from runtimes.reference.resume.recovery import take_over
from runtimes.reference.resume.session import Given, Session, Wanted
from runtimes.reference.upstreams.base import Upstream


class EndedError(ResumeError):
    """The run has ended: nothing new is done for it."""


@dataclass(slots=True)
class Held:
    """A run in this process's hands, with its token."""

    session: Session
    world: Upstream
    """Its provider, unredacted."""
    admission: Admission
    token: str
    stopped: str = ""
    """Why nothing new is done for it before a human has looked; empty while all is well."""


@dataclass(slots=True)
class Gateway:
    """All runs of one log; ``connect`` returns the provider of a run.

    ``secret`` is what idempotency keys are made from, so that nobody else can guess one.
    """

    log: EffectLog
    admissions: Admissions
    keyring: Keyring
    watch: Watch
    clock: Clock
    connect: Callable[[str], Upstream]
    redactor: Redactor
    secret: bytes
    revocations: Revocations = field(default_factory=Revocations)
    warden: Warden = field(init=False)
    held: dict[str, Held] = field(default_factory=dict)
    _taking: dict[str, asyncio.Task[Held]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Judge by what is revoked here."""
        self.warden = Warden(self.keyring, self.revocations)

    async def perform(self, peer: str, wanted: Wanted, run: str) -> Given:
        """Do what a peer asks for a run, once, if its token allows it.

        Raises:
            RefusedError: the token does not allow it.
            AdmissionError: nobody admitted the run.
            EndedError: the run has ended, or waits for a human.
            ResumeError: it was not done; see ``Session.perform``.
            UpstreamError: the provider could not be had.
            EffectLogError: the log refuses, or cannot go on.

        """
        held = await self.hold(run)
        session, admission = held.session, held.admission
        asked = Asked(
            run=admission.run,
            peer=peer,
            fence=session.facts.epoch,
            op=wanted.op,
            target=_named(wanted.target),
            args=wanted.args,
        )
        permit = self.warden.check(held.token, asked, self.watch.now())
        wanted = _with(wanted, permit.capability)
        if why := self._closed(held):
            if given := session.sealed(wanted):
                return given
            if session.carrier.upstream.contract(wanted.op, wanted.target).effect.writes:
                raise EndedError(why)
            return await session.glance(wanted)
        try:
            return await session.perform(wanted)
        except DriftError as drift:
            if admission.replans:
                await session.replan(drift)
            else:
                await session.end("escalated", why=str(drift))
            raise
        except EscalatedError as error:
            # Who replans knows what rests on it; of a program that goes on regardless nobody does.
            held.stopped = "" if admission.replans else str(error)
            raise
        except (FencedError, DoubtError):
            self.held.pop(run, None)
            raise

    async def hold(self, run: str) -> Held:
        """Return a run that this process holds; the first time, take it over."""
        if found := self.held.get(run):
            return found
        if run not in self._taking:
            self._taking[run] = task = asyncio.ensure_future(self._take(run))
            task.add_done_callback(lambda _: self._taking.pop(run, None))
        return await asyncio.shield(self._taking[run])

    async def _take(self, run: str) -> Held:
        admission, world = self.admissions.of(run), self.connect(run)
        upstream = CleanUpstream(world, self.redactor, self.leaked)
        log = self.log.open(run)
        self.revocations.revoke(*log.facts.revoked)
        session = await take_over(log, upstream, self.clock, self.log.actor, self.key_of)
        self.revocations.revoke(*session.facts.revoked)
        token = mint(
            self.keyring,
            run=admission.run,
            epoch=session.facts.epoch,
            peer=admission.peer,
            grants=admission.grants,
            issued_at=self.watch.now(),
            ttl_s=admission.ttl_s,
        )
        for capability in capability_ids(token):
            self.revocations.issue(run, capability)
        held = self.held[run] = Held(session, world, admission, token)
        held.stopped = "" if admission.replans else _unknown(session.facts)
        return held

    async def revoke(self, run: str, by: str, why: str) -> tuple[str, ...]:
        """End all capabilities of a run; once this returns, none of its calls begins.

        Raises:
            AdmissionError: nobody admitted the run.
            EffectLogError: it is in force, and not written.

        """
        held = await self.hold(run)
        ended = self.revocations.revoke_run(run)
        if ended:
            await held.session.carrier.log.append(Revoke(capabilities=ended, by=by, why=why))
        return ended

    def leaked(self, run: str, canaries: frozenset[str]) -> None:
        """End a run's capabilities, because a canary was on its way out."""
        why = f"canary {', '.join(sorted(canaries))} in an answer"
        self.revocations.revoke_run(run)
        if held := self.held.get(run):
            held.stopped = why

    def status(self, run: str) -> tuple[str, str]:
        """Return how a run stands here, and why: escalated, refused, or nothing to say."""
        held = self.held.get(run)
        if held is None:
            return "", ""
        terminal = held.session.facts.terminal
        if terminal:
            return terminal.status, terminal.why
        why = held.stopped or _unknown(held.session.facts)
        return ("escalated", why) if why else ("", "")

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

    def _closed(self, held: Held) -> str:
        terminal = held.session.facts.terminal
        if terminal:
            return f"the run is {terminal.status}: {terminal.why}"
        return held.stopped


def _named(target: str) -> str:
    """Return a target as a token names it; all below one is a name that only a subtree covers."""
    return f"{target[:-1]}=all" if target.endswith("/*") else target


def _with(wanted: Wanted, capability: str) -> Wanted:
    fields: Mapping[str, Any] = {
        name: getattr(wanted, name)
        for name in ("slot", "op", "target", "args", "premises", "context")
    }
    return Wanted(**fields, capability=capability)


def _unknown(facts: Facts) -> str:
    """Return what only a human can say of a run's effects."""
    unknown = [slot for slot, tried in facts.effects.items() if tried.standing is Standing.UNKNOWN]
    return f"nobody knows whether {', '.join(unknown)} was done" if unknown else ""
