"""Taking a run over, in the order in which it is safe; every step may be the last one.

1. lease: the next epoch is written, so that whoever held the run can write no more;
2. fence: its provider is told, so that what that one had sent is refused where it arrives;
3. revoke: the capabilities that were given out before are void;
4. settle: each effect in doubt is waited out, looked up, repeated under its key, or escalated;
5. drift: what the unfinished rests on is held to the world; a false premise forces a new plan.

A crash anywhere leaves a log from which the same sequence goes on: no step needs to know how far
the one before it came.  What the log itself has lost is seen before, when it is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from runtimes.reference.effect_log.facts import Facts, Standing
from runtimes.reference.effect_log.log import RunLog
from runtimes.reference.effect_log.records import Lease, Plan, Record, Revoke
from runtimes.reference.resume.carry import Carrier
from runtimes.reference.resume.clock import Clock
from runtimes.reference.resume.errors import DriftError, PlanError, UnreadError
from runtimes.reference.resume.session import Session
from runtimes.reference.upstreams.base import Upstream, UpstreamError


async def take_over(
    log: RunLog,
    upstream: Upstream,
    clock: Clock,
    holder: str,
    key_of: Callable[[str], str],
    steps_hash: str = "",
) -> Session:
    """Take a run over, or begin it, and return it with nothing in doubt that can be known.

    ``steps_hash`` names the program: one with other slots must not go on with these.  An effect
    whose provider cannot be reached stays in doubt, and is settled when it is asked for.

    Raises:
        PlanError: another program began the run.
        EffectLogError: the log refuses (somebody else took it over), or cannot go on.
        UnreachableError: nobody answers who should refuse older calls.

    """
    facts = log.facts
    same_program(log.run, facts, steps_hash)
    old = _capabilities(facts)
    lease = Lease(epoch=facts.epoch + 1, holder=holder, claim=log.log.mint())
    await log.append(lease)
    carrier = Carrier(log, upstream, clock)
    if await upstream.fence(log.run, lease.epoch):
        carrier.fenced_ms = clock.now_ms()
    records: list[Record] = []
    if old:
        records.append(Revoke(capabilities=old, by=holder, why=f"epoch {lease.epoch} began"))
    if facts.plan is None and facts.terminal is None:
        records.append(Plan(plan_epoch=1, steps_hash=steps_hash))
    if records:
        await log.append(*records)
    session = Session(carrier, key_of)
    for slot in facts.unresolved:
        with suppress(UpstreamError):
            await carrier.settle(slot, {})
    if facts.terminal is None:
        await _drift(session)
    return session


def same_program(run: str, facts: Facts, steps_hash: str) -> None:
    """Refuse a program that did not begin a run.

    Raises:
        PlanError: another one did.

    """
    if facts.plan and facts.plan.steps_hash != steps_hash:
        msg = (
            f"{run} was begun by program {facts.plan.steps_hash[:12]!r}, this one is "
            f"{steps_hash[:12]!r}: let the first one end it, or escalate it"
        )
        raise PlanError(msg)


def _capabilities(facts: Facts) -> tuple[str, ...]:
    """Return what was given out so far and is not revoked."""
    given = {tried.intent.capability for tried in facts.effects.values()}
    return tuple(sorted(given - facts.revoked - {""}))


async def _drift(session: Session) -> None:
    """Re-plan if something that was tried and not done rests on what is not so any more."""
    for slot, tried in session.facts.effects.items():
        request: Any = tried.intent.request
        if (
            tried.standing is Standing.NOT_DONE
            and tried.intent.plan_epoch == session.facts.plan_epoch
        ):
            try:
                await session.carrier.check(slot, request["premises"])
            except DriftError as drift:
                await session.replan(drift)
                return
            except UnreadError:  # it was as the request says when it came, and is not any more
                await session.replan(DriftError(slot, [*request["premises"]]))
                return
            except UpstreamError:
                continue
