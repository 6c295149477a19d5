"""What may be done about a call whose outcome is not known: a table, as a pure function.

The log of such a call has its intent and nothing after it.  It may never have gone out, it may be
on its way, or it was carried out and nobody wrote that down.  What may follow depends on the class
of the effect and on what its provider promises; the first line that fits is taken:

===================  ==================================================================
it rests on a value  look at its target: as it was, as it should be, or otherwise; then
                     who can be asked is, and else a new plan begins: to do the same
                     again under that, without a key, is for a human to say
key, in retention    the same call again: the provider answers what it answered before
twice is once        the same call again
can be asked         ask
versioned            look at its target
otherwise            a human must say; it is never called again
===================  ==================================================================

All but the second line wait until no late call can arrive any more: a look, an answer or a
repetition means nothing while one may still change the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.effects import Effect, Tier
from runtimes.reference.effect_log.records import Intent
from runtimes.reference.upstreams.base import Contract


MARGIN_MS = 60_000
"""How long before the end of its retention a key is no longer relied on."""


class Move(StrEnum):
    """What to do next about an effect in doubt."""

    REPEAT = "repeat"
    WAIT = "wait"
    QUERY = "query"
    COMPARE = "compare"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Remedy:
    """A move, and why it is the one; a wait lasts until ``until_ms`` (wall clock)."""

    move: Move
    why: str
    until_ms: int = 0


def keyed(intent: Intent, now_ms: int) -> bool:
    """Say whether the provider still knows the key of an intent."""
    kept_until_ms = intent.key_since_ms + intent.retention_s * 1000
    return intent.tier is Tier.K and bool(intent.key) and now_ms < kept_until_ms - MARGIN_MS


def quiet_ms(intent: Intent, contract: Contract, fenced_ms: int | None) -> int:
    """Return from when on no call of an intent can arrive any more, and all that did can be seen.

    ``fenced_ms`` is when its provider began to refuse its epoch, ``None`` if it does not.
    """
    last_ms = intent.deadline_ms if fenced_ms is None else min(fenced_ms, intent.deadline_ms)
    return last_ms + contract.lag_s * 1000


def remedy(intent: Intent, contract: Contract, now_ms: int, fenced_ms: int | None) -> Remedy:
    """Return what to do about an intent with nothing after it.

    ``fenced_ms`` is when its provider began to refuse its epoch, ``None`` if it does not.
    """
    rests = intent.effect is Effect.HYBRID and bool(intent.expect)
    if not rests and keyed(intent, now_ms):
        return Remedy(Move.REPEAT, "its provider knows the key, and answers as it did")
    until_ms = quiet_ms(intent, contract, fenced_ms)
    if now_ms < until_ms:
        return Remedy(Move.WAIT, "its call may still be on its way", until_ms)
    if rests:
        return Remedy(Move.COMPARE, "its target shows whether it was carried out")
    if not intent.effect.once:
        return Remedy(Move.REPEAT, "twice is once")
    if intent.tier is Tier.Q:
        return Remedy(Move.QUERY, "its provider can be asked")
    if intent.tier is Tier.V and intent.expect:
        return Remedy(Move.COMPARE, "its target has a version")
    if intent.tier is Tier.K:
        return Remedy(Move.ESCALATE, "its key is past its retention")
    return Remedy(Move.ESCALATE, "its provider cannot say whether it was carried out")
