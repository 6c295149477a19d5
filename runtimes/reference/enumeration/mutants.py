"""The safeguards, each taken away in turn: a check that no loss of one sets off proves nothing.

A mutant stands in the place of one function of the shipped code, or of what the disk and the
provider do for it, for as long as its context lasts.
"""

from __future__ import annotations

import dataclasses

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from harness.effects import Json
from runtimes.reference.effect_log import facts as rules
from runtimes.reference.effect_log.chain import Row
from runtimes.reference.effect_log.errors import ConflictError, FencedError
from runtimes.reference.effect_log.facts import Facts, Standing, Tried
from runtimes.reference.effect_log.log import Receipt, RunLog
from runtimes.reference.effect_log.records import (
    Intent,
    Lease,
    Plan,
    Record,
    Terminal,
    Verdict,
    Via,
)
from runtimes.reference.enumeration.disk import Disk
from runtimes.reference.enumeration.life import recovered
from runtimes.reference.enumeration.world import World
from runtimes.reference.resume import carry, recovery, remedy
from runtimes.reference.resume.carry import Carrier
from runtimes.reference.resume.errors import DriftError
from runtimes.reference.resume.remedy import Move, Remedy
from runtimes.reference.resume.session import Given, Session, Wanted
from runtimes.reference.upstreams.base import Answer, Contract, Order, Seen, UpstreamError


Patch = tuple[Any, str, Any]
"""Where, what, and what stands there instead."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A safeguard that is gone, with the second lines of defence behind it."""

    about: str
    patches: Sequence[Patch]
    first: str = ""
    """The campaign to look in first, where another would take long."""

    @contextmanager
    def here(self) -> Iterator[None]:
        """Take the safeguard away for a while."""
        with ExitStack() as stack:
            for where, name, instead in self.patches:
                stack.enter_context(
                    patch.dict(where, {name: instead})
                    if isinstance(where, dict)
                    else patch.object(where, name, instead)
                )
            # What was read by other rules says nothing of these.
            recovered.cache_clear()
            yield
        recovered.cache_clear()


# The log -------------------------------------------------------------------------------------


async def _call_first(
    self: Carrier, intent: Intent, premises: Mapping[str, str], context: Mapping[str, Json]
) -> None:
    answer = await self.upstream.call(self.order(intent, premises, context))
    await self.log.append(intent)
    await self._complete(intent, answer, Via.CALL)


async def _not_written(self: Carrier, intent: Intent, answer: Answer, via: Via) -> None:
    del self, intent, answer, via


def _careless(self: Disk, rows: Sequence[Row]) -> None:
    """Write rows, and leave it to the disk when."""
    self.rows += rows


def _anybody(self: Disk, rows: Sequence[Row]) -> None:
    """Write rows after the last one, whoever wrote that."""
    self.rows += rows
    self.synced = len(self.rows)


async def _by_name(self: RunLog, *records: Record) -> Receipt:
    """Write for whoever has the name of the run's holder: his lease counts as one's own."""
    try:
        return await APPEND(self, *records)
    except FencedError:
        found = recovered(tuple(self.log.store.rows(self.run)))
        if found.facts.holder != self.log.actor or isinstance(records[0], Lease):
            raise
        self.facts, self.head, self._dead = found.facts.copy(), found.head, None
        self._ahead, self._tip = found.facts.copy(), found.head
        return await APPEND(self, *records)


def _any_intent(facts: Facts, seq: int, record: Intent) -> None:
    """Take any intent in, as a log without rules would."""
    del seq
    facts.effects[record.slot] = Tried(intent=record, epoch=facts.epoch)


ANY_INTENT: Patch = (rules.TAKES, Intent, _any_intent)  # type: ignore[assignment]

# The table -----------------------------------------------------------------------------------


def _repeats(intent: Intent, contract: Contract, now_ms: int, fenced_ms: int | None) -> Remedy:
    del intent, contract, now_ms, fenced_ms
    return Remedy(Move.REPEAT, "it may not have worked")


def _escalates(intent: Intent, contract: Contract, now_ms: int, fenced_ms: int | None) -> Remedy:
    del intent, contract, now_ms, fenced_ms
    return Remedy(Move.ESCALATE, "better ask")


def _at_once(intent: Intent, contract: Contract, now_ms: int, fenced_ms: int | None) -> Remedy:
    """Take what the table has for later, now."""
    del now_ms, fenced_ms
    late_ms = intent.deadline_ms + contract.lag_s * 1000
    since = dataclasses.replace(intent, key_since_ms=late_ms)
    return REMEDY(since, contract, late_ms, None)


def _no_lag(intent: Intent, contract: Contract, now_ms: int, fenced_ms: int | None) -> Remedy:
    return REMEDY(intent, dataclasses.replace(contract, lag_s=0), now_ms, fenced_ms)


def _keyed_for_ever(intent: Intent, now_ms: int) -> bool:
    del now_ms
    return KEYED(intent, intent.key_since_ms)


def _own_fence(self: Carrier, tried: Tried, contract: Contract) -> int | None:
    del tried, contract
    return self.fenced_ms


async def _never_there(self: Carrier, intent: Intent, context: Mapping[str, Json]) -> None:
    del context
    await self._resolve(intent, Verdict.ABSENT, "it looks so")


async def _nobody_asked(self: Carrier, intent: Intent, verdict: Verdict, method: str) -> None:
    """Take what nobody knows for not done."""
    known = Verdict.ABSENT if verdict is Verdict.UNKNOWN else verdict
    await RESOLVE(self, intent, known, method)


# The provider's part -------------------------------------------------------------------------


async def _says_fenced(self: World, run: str, epoch: int) -> bool:
    del self, run, epoch
    return True


def _expects_nothing(self: World, order: Order) -> bool:
    del self, order
    return True


def _new_key(
    self: Carrier, intent: Intent, premises: Mapping[str, str], context: Mapping[str, Json]
) -> Order:
    return dataclasses.replace(ORDER(self, intent, premises, context), key=uuid4().hex)


# What is sealed, and what a plan rests on ----------------------------------------------------


async def _unsealed(self: Session, wanted: Wanted) -> Given:
    answer = await self.carrier.upstream.call(self._order(wanted, wanted.slot))
    return Given(answer.response)


async def _holds(self: Carrier, slot: str, premises: Mapping[str, str]) -> dict[str, str]:
    del self, slot
    return dict(premises)


def _theirs_is_mine(self: Carrier, seen: Seen, version: str) -> bool:
    """Take the version that was met for one that was made."""
    met = [tried.completion for tried in self.facts.effects.values() if tried.completion]
    return any(each.version_after == seen.version for each in met) or KNOWN(self, seen, version)


def _by_its_words(self: Session, wanted: Wanted) -> str:
    """Take other words for another effect."""
    try:
        return SLOT(self, wanted)
    except ConflictError:
        return f"{wanted.slot}#{wanted.fingerprint[:8]}"


async def _same_facts(self: Session, drift: DriftError) -> None:
    """Make a new plan of what the old one rested on."""
    await self.carrier.log.append(Plan(plan_epoch=self.facts.plan_epoch + 1, steps_hash=""))
    del drift


async def _settled_later(
    self: Carrier, slot: str, context: Mapping[str, Json], capability: str = ""
) -> None:
    """Settle only for whoever asks, and who asks has a capability."""
    if capability:
        await SETTLE(self, slot, context, capability)


def _any_end(facts: Facts, seq: int, record: Terminal) -> None:
    """End the run, whatever is in doubt."""
    del seq
    facts.terminal = record


ANY_END: Patch = (rules.TAKES, Terminal, _any_end)  # type: ignore[assignment]


def _unknown_is_not_done(self: Session, slot: str, tried: Tried) -> Given | None:
    return None if tried.standing is Standing.UNKNOWN else ENDED(self, slot, tried)


def _none_given(facts: Facts) -> tuple[str, ...]:
    del facts
    return ()


def _any_program(run: str, facts: Facts, steps_hash: str) -> None:
    del run, facts, steps_hash


async def _side_by_side(self: Session, wanted: Wanted) -> Given:
    """Do what is asked for, whoever does it already."""
    busy, self.busy = self.busy, {}
    try:
        return await PERFORM(self, wanted)
    finally:
        self.busy = busy


# What a mutant wraps.
APPEND = RunLog.append
SETTLE, PERFORM, ENDED = Carrier.settle, Session.perform, Session._known  # noqa: SLF001
ORDER, KNOWN, RESOLVE = Carrier.order, Carrier._known, Carrier._resolve  # noqa: SLF001
SLOT: Callable[[Session, Wanted], str] = Session._slot  # noqa: SLF001
REMEDY, KEYED = remedy.remedy, remedy.keyed

MUTANTS: Mapping[str, Mutant] = {
    "intent after the call": Mutant(
        "a call goes out before its intent is durable", [(Carrier, "attempt", _call_first)]
    ),
    "completion not written": Mutant(
        "the answer is given before it is durable", [(Carrier, "_complete", _not_written)]
    ),
    "disk not synced": Mutant(
        "the store says written, and the power can take it", [(Disk, "append", _careless)], "power"
    ),
    "two writers": Mutant(
        "the store takes a row whose number is taken", [(Disk, "append", _anybody)], "zombie"
    ),
    "lease by name": Mutant(
        "a lease is held by whoever has its holder's name",
        [(RunLog, "append", _by_name), ANY_INTENT],
        "zombie",
    ),
    "lease by name, by the rules": Mutant(
        "the same, with the log's own rules in place", [(RunLog, "append", _by_name)], "zombie"
    ),
    "repeat blindly": Mutant(
        "what is in doubt is called again", [(carry, "remedy", _repeats), ANY_INTENT]
    ),
    "repeat against the rules": Mutant(
        "the same, with the log's own rules in place", [(carry, "remedy", _repeats)]
    ),
    "escalate always": Mutant("a human is asked at once", [(carry, "remedy", _escalates)]),
    "not waited out": Mutant(
        "what may be on its way is taken for lost", [(carry, "remedy", _at_once)]
    ),
    "lag ignored": Mutant("a provider is asked before it can know", [(carry, "remedy", _no_lag)]),
    "retention ignored": Mutant(
        "a key that is forgotten is relied on", [(remedy, "keyed", _keyed_for_ever)], "kill, a day"
    ),
    "own fence": Mutant(
        "a fence is to keep out what was sent after it",
        [(Carrier, "_fenced", _own_fence)],
        "astray",
    ),
    "target not compared": Mutant(
        "a write that may be there is taken for absent", [(Carrier, "_compare", _never_there)]
    ),
    "otherwise is absent": Mutant(
        "what a stranger may have written over is done again",
        [(Tried, "overtaken", False)],
        "kill, drift",
    ),
    "unknown is absent": Mutant(
        "what nobody knows is taken for not done", [(Carrier, "_resolve", _nobody_asked)]
    ),
    "no fence": Mutant(
        "the provider is not told the epoch", [(World, "fence", _says_fenced)], "late"
    ),
    "no compare-and-swap": Mutant(
        "the version does not go with the write",
        [(World, "_expected", _expects_nothing)],
        "drift at",
    ),
    "new key": Mutant("each attempt has a key of its own", [(Carrier, "order", _new_key)]),
    "reads not sealed": Mutant("a read is observed again", [(Session, "_read", _unsealed)]),
    "decisions not sealed": Mutant("the model is asked again", [(Session, "_decide", _unsealed)]),
    "premises not checked": Mutant(
        "a plan goes on, whatever has changed", [(Carrier, "check", _holds)], "kill, drift"
    ),
    "theirs is mine": Mutant(
        "a version that was met counts as one's own",
        [(Carrier, "_known", _theirs_is_mine)],
        "kill, drift",
    ),
    "other words, other effect": Mutant(
        "an effect is known by its text, not by its slot",
        [(Session, "_slot", _by_its_words)],
        "kill, other words",
    ),
    "re-plan on old facts": Mutant(
        "a forced plan reads nothing anew", [(Session, "replan", _same_facts)], "kill, drift"
    ),
    "lost is unsent": Mutant(
        "a lost call is taken for one that never went out",
        [(carry, "UnreachableError", UpstreamError)],
        "trouble",
    ),
    "not settled first": Mutant(
        "a take-over leaves in doubt what is in doubt",
        [(Carrier, "settle", _settled_later)],
        "kill, given up",
    ),
    "nobody's word": Mutant(
        "a run ends while something is in doubt",
        [ANY_END],
        "kill, given up",
    ),
    "asked in vain": Mutant(
        "what a human is to say is done anyway",
        [(Session, "_known", _unknown_is_not_done), ANY_INTENT],
    ),
    "capabilities live on": Mutant(
        "a take-over ends nothing that was given out", [(recovery, "_capabilities", _none_given)]
    ),
    "any program": Mutant(
        "a program goes on with another one's slots",
        [(recovery, "same_program", _any_program)],
        "kill, other program",
    ),
    "all at once": Mutant(
        "who asks for what is being done does it too",
        [(Session, "perform", _side_by_side), ANY_INTENT],
        "asked twice at",
    ),
    "all at once, by the rules": Mutant(
        "the same, with the log's own rules in place",
        [(Session, "perform", _side_by_side)],
        "asked twice at",
    ),
}
